-- The transitions of package refrain, many in one call. What they make of a record must be what the Apply methods there say: the
-- caller applies them once more to the record that he is shown, and does not believe a row with which they disagree.
--
-- Whoever changes an operation holds its advisory lock to the end of his transaction. Nobody waits for it but settle_tx: of an
-- operation that somebody else holds, a row only shows what is committed, and the caller comes again if that does not answer him.
-- So no call waits for another, there are no deadlocks, and a duplicate never hangs on a transaction of the application's.

-- The store's clock.
CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';

-- What is shown of an operation: the record as it was before the call.
CREATE TYPE sighting AS (
	n           integer,      -- which of those that were asked for, from 1
	held        boolean,      -- its lock was to be had
	written     boolean,      -- the transition was made
	at          timestamptz,  -- the time of the decision
	new_fence   bigint,       -- of a claim that was made
	live        boolean,      -- null: absent
	token       bytea,
	fence       bigint,
	fingerprint bytea,
	created     timestamptz,
	lease       timestamptz,
	retain      timestamptz,
	forget      timestamptz,
	kept        bigint,
	status      integer,
	omitted     boolean,
	meta        bytea,
	body        bytea,
	misses      boolean       -- there is no bucket for it
);

-- check_store ends a call that would be wrong here: in another store than the caller knows, in a transaction that does not see
-- what others have committed since it began, or on a standby.
CREATE FUNCTION check_store(store uuid, isolated boolean) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM identity i WHERE i.name = store) THEN
		RAISE 'this is another store than before' USING ERRCODE = 'RF001';
	ELSIF isolated AND current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE 'the transaction is not READ COMMITTED' USING ERRCODE = 'RF002';
	ELSIF pg_is_in_recovery() THEN
		RAISE 'this server is a standby' USING ERRCODE = 'RF003';
	END IF;
END $$;

-- bucket_at returns the bucket for what lives so many microseconds, until the end: at most half as long as that is what it takes
-- too long to be dropped.
CREATE FUNCTION bucket_at(lifetime bigint, ends timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT (width::bigint << 40) | (floor(extract(epoch FROM ends))::bigint >> width)
	FROM (SELECT greatest(4, floor(ln(greatest(lifetime, 1) / 1e6::float8) / ln(2::float8)))::integer AS width) AS w
$$;

-- bucket_ends returns when all in a bucket is over.
CREATE FUNCTION bucket_ends(bucket bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
	SELECT to_timestamp((((bucket & ((1::bigint << 40) - 1)) + 1) << (bucket >> 40)::integer)::float8)
$$;

CREATE FUNCTION claim(
	store uuid, locks bigint[], ids bytea[], tokens bytea[], fingerprints bytea[], leases bigint[], reruns boolean[]
) RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	locked boolean[];
	moment timestamptz;
BEGIN
	PERFORM check_store(store, true);
	locked := array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) WITH ORDINALITY AS x(l, i) ORDER BY i);
	moment := clock();
	RETURN QUERY
	WITH asked AS MATERIALIZED (
		SELECT a.n, a.held, a.id, a.token, a.fingerprint, moment + a.lease * interval '1 microsecond' AS lease,
			a.held AND (k.id IS NULL OR k.live AND a.rerun AND k.fingerprint = a.fingerprint
				AND (k.lease IS NULL OR k.lease <= moment)) AS wins,
			a.held AND k.live AND k.token = a.token AND k.lease > moment AS again,
			k.live, k.token AS k_token, k.fence AS k_fence, k.fingerprint AS k_fingerprint, k.created AS k_created,
			k.lease AS k_lease, k.retain, k.forget, CASE WHEN k.live OR k.retain > moment THEN k.kept END AS kept
		FROM unnest(ids, tokens, fingerprints, leases, reruns, locked) WITH ORDINALITY
			AS a(id, token, fingerprint, lease, rerun, held, n)
		LEFT JOIN known k ON k.id = a.id AND k.forget > moment
	), won AS MATERIALIZED (
		SELECT a.*, nextval('fence') AS fence FROM asked a WHERE a.wins
	), placed AS (
		INSERT INTO live AS l (id, token, fence, fingerprint, created, lease)
		SELECT w.id, w.token, w.fence, w.fingerprint, moment, w.lease FROM won w
		ON CONFLICT (id) DO UPDATE SET token = excluded.token, fence = excluded.fence, fingerprint = excluded.fingerprint,
			created = excluded.created, lease = excluded.lease, answered = false
	), cleared AS (
		DELETE FROM outcome_0 o USING won w WHERE w.kept = 0 AND o.fence = w.k_fence
	)
	SELECT a.n::integer, a.held, a.wins, moment, w.fence, a.live, a.k_token, a.k_fence, a.k_fingerprint, a.k_created, a.k_lease,
		a.retain, a.forget, a.kept, o.status, o.omitted, o.meta, o.body,
		-- Who recognises himself learns it no sooner than the claim is as durable as any other write.
		CASE WHEN a.again THEN pg_logical_emit_message(true, 'refrain', '') IS NULL END
	FROM asked a LEFT JOIN won w ON w.n = a.n LEFT JOIN outcome o ON o.fence = a.k_fence AND o.bucket = a.kept;
END $$;

-- The endings are those of package refrain: 1 finished, 2 released, 3 undecided, 4 forgotten. A status that is null is no outcome.
CREATE FUNCTION settle(
	store uuid, locks bigint[], ids bytea[], tokens bytea[], insteads bytea[], endings smallint[],
	retentions bigint[], tombstones bigint[], statuses integer[], omits boolean[], metas bytea[], bodies bytea[],
	waits boolean DEFAULT false
) RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	locked boolean[];
	moment timestamptz;
BEGIN
	PERFORM check_store(store, NOT waits);
	IF waits THEN
		PERFORM pg_advisory_xact_lock(l) FROM unnest(locks) AS l;
		locked := array_fill(true, ARRAY[cardinality(locks)]);
	ELSE
		locked := array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) WITH ORDINALITY AS x(l, i) ORDER BY i);
	END IF;
	moment := clock();
	RETURN QUERY
	WITH asked AS MATERIALIZED (
		SELECT a.n, a.held, a.id, coalesce(a.instead, a.token) AS token, a.ending, a.status, a.omitted, a.meta, a.body,
			moment + a.retention * interval '1 microsecond' AS retain,
			moment + (a.retention + a.tombstone) * interval '1 microsecond' AS forget,
			a.retention, a.tombstone,
			a.held AND k.token = a.token AND (a.instead IS NULL OR k.live AND (k.lease IS NULL OR k.lease <= moment))
				AND CASE WHEN k.live THEN a.ending IN (1, 2, 3) ELSE a.ending = 4 END AS writes,
			a.held AND a.ending = 1 AND NOT k.live AND k.token IN (a.token, a.instead) AS again,
			k.live, k.token AS k_token, k.fence, k.fingerprint, k.created, k.lease, k.retain AS k_retain, k.forget AS k_forget,
			CASE WHEN k.live OR k.retain > moment THEN k.kept END AS k_kept
		FROM unnest(ids, tokens, insteads, endings, retentions, tombstones, statuses, omits, metas, bodies, locked) WITH ORDINALITY
			AS a(id, token, instead, ending, retention, tombstone, status, omitted, meta, body, held, n)
		LEFT JOIN known k ON k.id = a.id AND k.forget > moment
	), ended AS MATERIALIZED (
		SELECT a.*, coalesce(d.bucket, 0) AS home,
			CASE WHEN a.status IS NOT NULL AND (a.ending = 3 OR a.ending = 1 AND a.retain > moment)
				THEN coalesce(o.bucket, 0) END AS kept,
			d.bucket IS NULL AND a.ending = 1 AND a.forget > moment
				OR o.bucket IS NULL AND a.ending = 1 AND a.retain > moment AND a.status IS NOT NULL AS misses
		FROM asked a
		LEFT JOIN bucket d ON d.of = 'done' AND a.ending = 1 AND d.bucket = bucket_at(a.retention + a.tombstone, a.forget)
		LEFT JOIN bucket o ON o.of = 'outcome' AND a.ending = 1 AND o.bucket = bucket_at(a.retention, a.retain)
		WHERE a.writes
	), gone AS (
		DELETE FROM live l USING ended e WHERE l.id = e.id AND e.ending IN (1, 2)
	), undecided AS (
		UPDATE live l SET lease = NULL, answered = e.kept IS NOT NULL FROM ended e WHERE l.id = e.id AND e.ending = 3
	), finished AS (
		INSERT INTO done AS d (id, bucket, token, fence, fingerprint, created, retain, forget, kept)
		SELECT e.id, e.home, e.token, e.fence, e.fingerprint, e.created, e.retain, e.forget, e.kept FROM ended e
		WHERE e.ending = 1 AND e.forget > moment
		ON CONFLICT (id, bucket) DO UPDATE SET token = excluded.token, fence = excluded.fence, -- of one that was forgotten
			fingerprint = excluded.fingerprint, created = excluded.created, retain = excluded.retain, forget = excluded.forget,
			kept = excluded.kept
	), answers AS (
		INSERT INTO outcome AS o (fence, bucket, expires, status, omitted, meta, body)
		SELECT e.fence, e.kept, CASE WHEN e.ending = 1 THEN e.retain END, e.status, e.omitted, e.meta, e.body FROM ended e
		WHERE e.kept IS NOT NULL
		ON CONFLICT (fence, bucket) DO UPDATE SET expires = excluded.expires, status = excluded.status, -- of one that did not tell
			omitted = excluded.omitted, meta = excluded.meta, body = excluded.body
	), cleared AS (
		DELETE FROM outcome_0 o USING ended e WHERE e.live AND e.k_kept = 0 AND e.kept IS DISTINCT FROM 0 AND o.fence = e.fence
	)
	SELECT a.n::integer, a.held, a.writes, moment, NULL::bigint, a.live, a.k_token, a.fence, a.fingerprint, a.created, a.lease,
		a.k_retain, a.k_forget, a.k_kept, o.status, o.omitted, o.meta, o.body,
		CASE WHEN a.again THEN pg_logical_emit_message(true, 'refrain', '') IS NULL ELSE e.misses END
	FROM asked a LEFT JOIN ended e ON e.n = a.n
	LEFT JOIN outcome o ON NOT a.live AND o.fence = a.fence AND o.bucket = a.k_kept;

	IF 4 = ANY (endings) THEN
		WITH forgotten AS (
			DELETE FROM done d USING unnest(ids, tokens, insteads, endings, locked) AS a(id, token, instead, ending, held)
			WHERE a.held AND a.ending = 4 AND a.instead IS NULL AND d.id = a.id AND d.token = a.token AND d.forget > moment
			RETURNING d.fence, d.kept
		)
		DELETE FROM outcome o USING forgotten f WHERE o.fence = f.fence AND o.bucket = f.kept;
	END IF;
END $$;

CREATE FUNCTION renew(store uuid, locks bigint[], ids bytea[], tokens bytea[], leases bigint[])
RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	locked boolean[];
	moment timestamptz;
BEGIN
	PERFORM check_store(store, true);
	locked := array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) WITH ORDINALITY AS x(l, i) ORDER BY i);
	moment := clock();
	RETURN QUERY
	WITH asked AS MATERIALIZED (
		SELECT a.n, a.held, a.id, moment + a.lease * interval '1 microsecond' AS lease,
			a.held AND l.token = a.token AND l.lease IS NOT NULL AS writes,
			l.id IS NOT NULL AS live, l.token, l.fence, l.fingerprint, l.created, l.lease AS l_lease
		FROM unnest(ids, tokens, leases, locked) WITH ORDINALITY AS a(id, token, lease, held, n)
		LEFT JOIN live l ON l.id = a.id
	), renewed AS (
		UPDATE live l SET lease = a.lease FROM asked a WHERE l.id = a.id AND a.writes
	)
	SELECT a.n::integer, a.held, a.writes, moment, NULL::bigint, CASE WHEN a.live THEN true END, a.token, a.fence, a.fingerprint,
		a.created, a.l_lease, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::integer, NULL::boolean, NULL::bytea,
		NULL::bytea, NULL::boolean
	FROM asked a;
END $$;

CREATE FUNCTION find(store uuid, id bytea) RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	moment timestamptz;
BEGIN
	PERFORM check_store(store, false);
	moment := clock();
	RETURN QUERY
	SELECT 1, true, false, moment, NULL::bigint, k.live, k.token, k.fence, k.fingerprint, k.created, k.lease, k.retain, k.forget,
		a.kept, o.status, o.omitted, o.meta, o.body, NULL::boolean
	FROM (SELECT) AS one
	LEFT JOIN known k ON k.id = find.id AND k.forget > moment
	CROSS JOIN LATERAL (SELECT CASE WHEN k.live OR k.retain > moment THEN k.kept END) AS a(kept)
	LEFT JOIN outcome o ON o.fence = k.fence AND o.bucket = a.kept;
END $$;
