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

-- fit reports whether the session's settings are what nearly all have. A pooler may give what somebody else has set.
CREATE FUNCTION fit() RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT current_setting('transaction_isolation') = 'read committed' AND current_setting('client_min_messages') <> 'error'
		AND current_setting('synchronous_commit') IN ('on', 'remote_apply')
$$;

-- check_store ends a call that would be wrong here: in another store than the caller knows, in a transaction that does not see
-- what others have committed since it began, on a standby, or where the server does not warn of a commit that no standby has. The
-- commit waits for what it does by default, whatever the session has.
CREATE FUNCTION check_store(store uuid, isolated boolean) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM identity i WHERE i.name = store) THEN
		RAISE 'this is another store than before' USING ERRCODE = 'RF001';
	ELSIF isolated AND current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE 'the transaction is not READ COMMITTED' USING ERRCODE = 'RF002';
	ELSIF isolated AND current_setting('client_min_messages') = 'error' THEN
		RAISE 'client_min_messages = error: the end of a wait for a standby would not be told' USING ERRCODE = 'RF005';
	ELSIF pg_is_in_recovery() THEN
		RAISE 'this server is a standby' USING ERRCODE = 'RF003';
	ELSIF isolated THEN
		PERFORM set_config(name, reset_val, true) FROM pg_settings WHERE name = 'synchronous_commit';
	END IF;
END $$;

-- bucket_at returns the bucket of a width in which a time is. A bucket is named by its width in seconds as a power of two, and how
-- many of that width have passed since 1970.
CREATE FUNCTION bucket_at(width bigint, at bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT (width << 40) | ((at / 1000000) >> width::integer)
$$;

-- bucket_among returns the bucket in which a time is, if it is one of those that there are, else bucket 0.
CREATE FUNCTION bucket_among(there bigint[], width bigint, at bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN bucket_at(width, at) = ANY (there) THEN bucket_at(width, at) ELSE 0 END
$$;

-- bucket_ends returns when all in a bucket is over.
CREATE FUNCTION bucket_ends(bucket bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
	SELECT to_timestamp((((bucket & ((1::bigint << 40) - 1)) + 1) << (bucket >> 40)::integer)::float8)
$$;

-- us returns a time in microseconds since 1970.
CREATE FUNCTION us(t timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT (extract(epoch FROM t) * 1000000)::bigint
$$;

CREATE FUNCTION claim(
	store uuid, locks bigint[], ids bytea[], tokens bytea[], fingerprints bytea[], leases bigint[], reruns boolean[]
) RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	known boolean;
	locked boolean[];
	moment timestamptz;
	answered bigint;
BEGIN
	SELECT i.name = store, array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) AS l) INTO known, locked
	FROM identity i WHERE i.one;
	IF known IS NOT TRUE OR pg_is_in_recovery() OR NOT fit() THEN
		PERFORM check_store(store, true);
	END IF;
	moment := clock();
	-- Those that nobody knows of, as nearly all are.
	RETURN QUERY
	WITH fresh AS MATERIALIZED (
		SELECT a.*, nextval('fence') AS fence
		FROM unnest(ids, tokens, fingerprints, leases, locked) WITH ORDINALITY AS a(id, token, fingerprint, lease, held, n)
		WHERE a.held AND (SELECT seen FROM all_of_done) AND NOT EXISTS (SELECT FROM live l WHERE l.id = a.id)
			AND NOT EXISTS (SELECT FROM done d WHERE d.id = a.id AND d.forget > moment)
	), placed AS (
		INSERT INTO live (id, token, fence, fingerprint, created, lease)
		SELECT f.id, f.token, f.fence, f.fingerprint, moment, moment + f.lease * interval '1 microsecond' FROM fresh f
	)
	SELECT f.n::integer, true, true, moment, f.fence, NULL::boolean, NULL::bytea, NULL::bigint, NULL::bytea, NULL::timestamptz,
		NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::integer, NULL::boolean, NULL::bytea,
		NULL::bytea, NULL::boolean
	FROM fresh f;
	GET DIAGNOSTICS answered = ROW_COUNT;
	IF answered = cardinality(ids) THEN
		RETURN;
	END IF;

	-- The others.
	RETURN QUERY
	WITH seen AS (
		SELECT a.*, l.ctid AS place, l.id IS NOT NULL AS live, d.id IS NOT NULL AS done,
			coalesce(l.token, d.token) AS k_token, coalesce(l.fence, d.fence) AS k_fence,
			coalesce(l.fingerprint, d.fingerprint) AS k_fingerprint, coalesce(l.created, d.created) AS k_created,
			l.lease AS k_lease, d.retain, d.forget,
			CASE WHEN l.answered THEN 0 WHEN d.retain > moment THEN d.kept END AS k_kept
		FROM unnest(ids, tokens, fingerprints, leases, reruns, locked) WITH ORDINALITY
			AS a(id, token, fingerprint, lease, rerun, held, n)
		LEFT JOIN live l ON l.id = a.id
		LEFT JOIN done d ON d.id = CASE WHEN l.id IS NULL THEN a.id END AND d.forget > moment -- never in both
		WHERE (l.token = a.token AND l.created = moment) IS NOT TRUE AND (SELECT seen FROM all_of_done)
	), asked AS MATERIALIZED (
		SELECT s.*, CASE
			WHEN s.held AND s.live AND s.rerun AND s.k_fingerprint = s.fingerprint AND (s.k_lease IS NULL OR s.k_lease <= moment)
			THEN nextval('fence')
		END AS fence
		FROM seen s
	), taken AS (
		UPDATE live l SET token = a.token, fence = a.fence, created = moment, lease = moment + a.lease * interval '1 microsecond',
			answered = false
		FROM asked a WHERE a.fence IS NOT NULL AND l.ctid = a.place
	), cleared AS (
		DELETE FROM outcome_0 o USING asked a WHERE a.fence IS NOT NULL AND a.k_kept = 0 AND o.fence = a.k_fence
	)
	SELECT a.n::integer, a.held, a.fence IS NOT NULL, moment, a.fence, CASE WHEN a.live OR a.done THEN a.live END,
		a.k_token, a.k_fence, a.k_fingerprint, a.k_created, a.k_lease, a.retain, a.forget, a.k_kept,
		o.status, o.omitted, o.meta, o.body,
		-- Who recognises himself learns it no sooner than the claim is as durable as any other write.
		CASE WHEN a.held AND a.live AND a.k_token = a.token AND a.k_lease > moment
			THEN pg_logical_emit_message(true, 'refrain', '') IS NULL END
	FROM asked a LEFT JOIN outcome o ON o.fence = a.k_fence AND o.bucket = a.k_kept
	WHERE a.k_kept IS NULL OR o.fence IS NOT NULL OR (SELECT seen FROM all_of_outcome);
END $$;

-- The endings are those of package refrain: 1 finished, 2 released, 3 undecided, 4 forgotten. A status that is null is no outcome.
-- Retentions and tombstones come with the widths of the buckets for what lives so long: see bucket_at.
CREATE FUNCTION settle(
	store uuid, locks bigint[], ids bytea[], tokens bytea[], insteads bytea[], endings smallint[],
	retentions bigint[], tombstones bigint[], outcome_widths smallint[], done_widths smallint[],
	statuses integer[], omits boolean[], metas bytea[], bodies bytea[],
	waits boolean DEFAULT false
) RETURNS SETOF sighting LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	known boolean;
	locked boolean[];
	done_buckets bigint[];
	outcome_buckets bigint[];
	moment timestamptz;
	moment_us bigint;
	answered bigint;
BEGIN
	IF waits THEN
		PERFORM pg_advisory_xact_lock(l) FROM unnest(locks) AS l; -- then those below are had
	END IF;
	SELECT i.name = store, array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) AS l),
		array(SELECT b.bucket FROM bucket b WHERE b.of = 'done'), array(SELECT b.bucket FROM bucket b WHERE b.of = 'outcome')
	INTO known, locked, done_buckets, outcome_buckets
	FROM identity i WHERE i.one;
	IF known IS NOT TRUE OR pg_is_in_recovery() OR NOT waits AND NOT fit() THEN
		PERFORM check_store(store, NOT waits);
	END IF;
	moment := clock();
	moment_us := us(moment);
	-- What its owner has finished, as nearly all is.
	RETURN QUERY
	WITH ended AS (
		DELETE FROM live l
		USING unnest(ids, tokens, insteads, endings, retentions, tombstones, outcome_widths, done_widths, statuses, omits, metas, bodies,
				locked) WITH ORDINALITY
			AS a(id, token, instead, ending, retention, tombstone, outcome_width, done_width, status, omitted, meta, body, held, n)
		WHERE l.id = a.id AND l.token = a.token AND NOT l.answered
			AND a.held AND a.ending = 1 AND a.instead IS NULL AND a.retention + a.tombstone > 0
		RETURNING a.*, l.fence, l.fingerprint, l.created, l.lease,
			moment + a.retention * interval '1 microsecond' AS retain,
			moment + (a.retention + a.tombstone) * interval '1 microsecond' AS forget,
			bucket_among(done_buckets, a.done_width, moment_us + a.retention + a.tombstone) AS home,
			CASE WHEN a.status IS NOT NULL AND a.retention > 0
				THEN bucket_among(outcome_buckets, a.outcome_width, moment_us + a.retention) END AS kept
	), finished AS (
		INSERT INTO done (id, bucket, token, fence, fingerprint, created, retain, forget, kept)
		SELECT e.id, e.home, e.token, e.fence, e.fingerprint, e.created, e.retain, e.forget, e.kept FROM ended e
	), answers AS (
		INSERT INTO outcome (fence, bucket, expires, status, omitted, meta, body)
		SELECT e.fence, e.kept, e.retain, e.status, e.omitted, e.meta, e.body FROM ended e WHERE e.kept IS NOT NULL
	)
	SELECT e.n::integer, true, true, moment, NULL::bigint, true, e.token, e.fence, e.fingerprint, e.created, e.lease,
		NULL::timestamptz, NULL::timestamptz, NULL::bigint, NULL::integer, NULL::boolean, NULL::bytea, NULL::bytea,
		e.home = 0 OR e.kept IS NOT DISTINCT FROM 0
	FROM ended e;
	GET DIAGNOSTICS answered = ROW_COUNT;
	IF answered = cardinality(ids) THEN
		RETURN;
	END IF;

	-- All else.
	RETURN QUERY
	WITH seen AS (
		SELECT a.*, l.ctid AS place, l.id IS NOT NULL AS live, d.id IS NOT NULL AS done,
			coalesce(l.token, d.token) AS k_token, coalesce(l.fence, d.fence) AS fence,
			coalesce(l.fingerprint, d.fingerprint) AS fingerprint, coalesce(l.created, d.created) AS created,
			l.lease, d.retain AS k_retain, d.forget AS k_forget,
			CASE WHEN l.answered THEN 0 WHEN d.retain > moment THEN d.kept END AS k_kept,
			moment + a.retention * interval '1 microsecond' AS retain,
			moment + (a.retention + a.tombstone) * interval '1 microsecond' AS forget,
			bucket_among(done_buckets, a.done_width, moment_us + a.retention + a.tombstone) AS home,
			bucket_among(outcome_buckets, a.outcome_width, moment_us + a.retention) AS outcome_home
		FROM unnest(ids, tokens, insteads, endings, retentions, tombstones, outcome_widths, done_widths, statuses, omits, metas,
				bodies, locked) WITH ORDINALITY
			AS a(id, token, instead, ending, retention, tombstone, outcome_width, done_width, status, omitted, meta, body, held, n)
		LEFT JOIN live l ON l.id = a.id
		LEFT JOIN done d ON d.id = CASE WHEN l.id IS NULL THEN a.id END AND d.forget > moment -- never in both
		WHERE (d.token = a.token AND d.retain = moment + a.retention * interval '1 microsecond') IS NOT TRUE
			AND (SELECT seen FROM all_of_done)
	), asked AS MATERIALIZED (
		SELECT s.*,
			s.held AND s.k_token = s.token
				AND (s.instead IS NULL OR s.live AND (s.lease IS NULL OR s.lease <= moment))
				AND CASE WHEN s.live THEN s.ending IN (1, 2, 3) ELSE s.ending = 4 END IS TRUE AS writes,
			CASE
				WHEN s.status IS NULL THEN NULL
				WHEN s.ending = 3 THEN 0
				WHEN s.ending <> 1 OR s.retain <= moment THEN NULL
				ELSE s.outcome_home
			END AS kept
		FROM seen s
	), gone AS (
		DELETE FROM live l USING asked a WHERE a.writes AND a.ending IN (1, 2) AND l.ctid = a.place
	), undecided AS (
		UPDATE live l SET lease = NULL, answered = a.kept IS NOT NULL FROM asked a WHERE a.writes AND a.ending = 3 AND l.ctid = a.place
	), finished AS (
		INSERT INTO done (id, bucket, token, fence, fingerprint, created, retain, forget, kept)
		SELECT a.id, a.home, coalesce(a.instead, a.token), a.fence, a.fingerprint, a.created, a.retain, a.forget, a.kept
		FROM asked a WHERE a.writes AND a.ending = 1 AND a.forget > moment
	), answers AS (
		INSERT INTO outcome (fence, bucket, expires, status, omitted, meta, body)
		SELECT a.fence, a.kept, CASE WHEN a.ending = 1 THEN a.retain END, a.status, a.omitted, a.meta, a.body
		FROM asked a WHERE a.writes AND a.kept IS NOT NULL
	), cleared AS ( -- what did not tell
		DELETE FROM outcome_0 o USING asked a WHERE a.writes AND a.live AND a.k_kept = 0 AND o.fence = a.fence
	)
	SELECT a.n::integer, a.held, coalesce(a.writes, false), moment, NULL::bigint, CASE WHEN a.live OR a.done THEN a.live END,
		a.k_token, a.fence, a.fingerprint, a.created, a.lease, a.k_retain, a.k_forget, a.k_kept, o.status, o.omitted, o.meta, o.body,
		CASE
			WHEN a.held AND a.ending = 1 AND a.done AND a.k_token IN (a.token, a.instead)
				THEN pg_logical_emit_message(true, 'refrain', '') IS NULL -- as in claim
			ELSE a.writes AND a.ending = 1 AND a.forget > moment AND (a.home = 0 OR a.kept = 0)
		END
	FROM asked a LEFT JOIN outcome o ON o.fence = CASE WHEN a.done THEN a.fence END AND o.bucket = a.k_kept
	WHERE NOT a.done OR a.k_kept IS NULL OR o.fence IS NOT NULL OR (SELECT seen FROM all_of_outcome);

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
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	known boolean;
	locked boolean[];
	moment timestamptz;
BEGIN
	SELECT i.name = store, array(SELECT pg_try_advisory_xact_lock(l) FROM unnest(locks) AS l) INTO known, locked
	FROM identity i WHERE i.one;
	IF known IS NOT TRUE OR pg_is_in_recovery() OR NOT fit() THEN
		PERFORM check_store(store, true);
	END IF;
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
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	moment timestamptz;
BEGIN
	IF pg_is_in_recovery() OR NOT EXISTS (SELECT FROM identity i WHERE i.name = store) THEN
		PERFORM check_store(store, false);
	END IF;
	moment := clock();
	RETURN QUERY
	SELECT 1, true, false, moment, NULL::bigint, k.live, k.token, k.fence, k.fingerprint, k.created, k.lease, k.retain, k.forget,
		a.kept, o.status, o.omitted, o.meta, o.body, NULL::boolean
	FROM (SELECT) AS one
	LEFT JOIN known k ON k.id = find.id AND k.forget > moment
	CROSS JOIN LATERAL (SELECT CASE WHEN k.live OR k.retain > moment THEN k.kept END) AS a(kept)
	LEFT JOIN outcome o ON o.fence = k.fence AND o.bucket = a.kept
	WHERE (SELECT seen FROM all_of_done) AND (a.kept IS NULL OR o.fence IS NOT NULL OR (SELECT seen FROM all_of_outcome));
END $$;
