-- Who this store is: a schema that was made anew is another store, and its secret keys other hashes.
CREATE TABLE identity (
	one     boolean PRIMARY KEY DEFAULT true CHECK (one),
	name    uuid NOT NULL DEFAULT gen_random_uuid(),
	secret  bytea NOT NULL DEFAULT sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8')),
	created timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO identity DEFAULT VALUES;

-- Fences only grow, whatever is released or forgotten.
CREATE SEQUENCE fence;

-- What is claimed and has not ended: small, and the only table whose rows change.
CREATE TABLE live (
	id          bytea PRIMARY KEY,
	token       bytea NOT NULL,
	fence       bigint NOT NULL,
	fingerprint bytea NOT NULL,
	created     timestamptz NOT NULL,
	lease       timestamptz,                    -- null: its owner said that nobody knows
	answered    boolean NOT NULL DEFAULT false  -- and there is an answer that does not tell, in outcome_0
) WITH (
	fillfactor = 70, -- a renewal stays in its page
	autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0
);

-- What is done, by when it is forgotten: a bucket is a partition that is dropped when all in it is forgotten. An operation is in
-- live or alive in one bucket of done, never in two places: whoever writes holds its lock and has looked. An index that saw to it
-- once more would cost as much as the row; one that is forgotten may still be there beside its successor.
CREATE TABLE done (
	id          bytea NOT NULL,
	bucket      bigint NOT NULL,
	token       bytea NOT NULL,
	fence       bigint NOT NULL,
	fingerprint bytea NOT NULL,
	created     timestamptz NOT NULL,
	retain      timestamptz NOT NULL,
	forget      timestamptz NOT NULL,
	kept        bigint                          -- the bucket of its outcome
) PARTITION BY LIST (bucket);
CREATE INDEX ON done (id);

-- Outcomes, by when their retention ends, each under the fence of its claim: in the order in which they come.
CREATE TABLE outcome (
	fence   bigint NOT NULL,
	bucket  bigint NOT NULL,
	expires timestamptz,                        -- in bucket 0: when it may be deleted, if it is not that of a row in live
	status  integer NOT NULL,
	omitted boolean NOT NULL,
	meta    bytea NOT NULL,
	body    bytea NOT NULL
) PARTITION BY LIST (bucket);
CREATE INDEX ON outcome (fence);

-- Bucket 0 takes what has no bucket yet, and is swept row by row.
CREATE TABLE done_0 PARTITION OF done FOR VALUES IN (0);
CREATE TABLE outcome_0 PARTITION OF outcome FOR VALUES IN (0);
CREATE INDEX ON done_0 (forget);
CREATE INDEX ON outcome_0 (expires);

-- The buckets that there are. A bucket is its width in seconds as a power of two, and how many of them have passed since 1970.
CREATE TABLE bucket (
	of     text NOT NULL CHECK (of IN ('done', 'outcome')),
	bucket bigint NOT NULL,
	ends   timestamptz NOT NULL,                -- when all in it is over
	PRIMARY KEY (of, bucket)
);

-- behind ends the call of a server process that does not know of every bucket, and the process. A bucket that is attached while
-- others read is not in their plans at once; and a process that just then reads the list of partitions does not see it before the
-- next one is attached, however late that is: PostgreSQL has a race there (seen in 13 to 18). What is done in it would run again.
--
-- So each bucket has one row of no operation. Whoever must miss nothing counts these rows and the buckets in the same statement, for
-- it has one snapshot and one list of partitions: (SELECT seen FROM all_of_done).
CREATE FUNCTION behind() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RAISE 'this server process does not know of every bucket' -- the hint last: whatever came after it would not be said
		USING ERRCODE = 'RF004', HINT = CASE WHEN pg_terminate_backend(pg_backend_pid()) THEN 'It ends; another one will.' END;
EXCEPTION WHEN insufficient_privilege THEN -- who has become another role may not end his own process: whoever called leaves it
	RAISE 'this server process does not know of every bucket, and may not end itself' USING ERRCODE = 'RF004';
END $$;

CREATE VIEW all_of_done AS
SELECT CASE WHEN (SELECT count(*) FROM done d WHERE d.id = '') = (SELECT count(*) FROM bucket b WHERE b.of = 'done')
	THEN true ELSE behind() END AS seen;

CREATE VIEW all_of_outcome AS
SELECT CASE WHEN (SELECT count(*) FROM outcome o WHERE o.fence = 0) = (SELECT count(*) FROM bucket b WHERE b.of = 'outcome')
	THEN true ELSE behind() END AS seen;

-- All that is known.
CREATE VIEW known AS
SELECT id, true AS live, 0::bigint AS bucket, token, fence, fingerprint, created, lease, NULL::timestamptz AS retain,
	'infinity'::timestamptz AS forget, CASE WHEN answered THEN 0::bigint END AS kept
FROM live
UNION ALL
SELECT id, false, bucket, token, fence, fingerprint, created, NULL::timestamptz, retain, forget, kept
FROM done;
