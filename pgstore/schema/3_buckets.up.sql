-- open_bucket makes a bucket that may be there already. It waits for nobody who reads or writes, and nobody waits for it.
CREATE FUNCTION open_bucket(kind text, number bigint) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
	name text := format('%s_%s_%s', kind, number >> 40, number & ((1::bigint << 40) - 1));
BEGIN
	PERFORM pg_advisory_xact_lock('bucket'::regclass::oid::integer, 0);
	IF EXISTS (SELECT FROM bucket b WHERE b.of = kind AND b.bucket = number) THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, kind);
	EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', kind, name, number);
	INSERT INTO bucket (of, bucket, ends) VALUES (kind, number, bucket_ends(number));
	IF kind = 'done' THEN -- the row by which behind is noticed
		EXECUTE format('INSERT INTO %I (id, bucket, token, fence, fingerprint, created, retain, forget)
			VALUES ('''', %s, '''', 0, '''', clock(), ''-infinity'', ''-infinity'')', name, number);
	ELSE
		EXECUTE format('INSERT INTO %I (fence, bucket, status, omitted, meta, body) VALUES (0, %s, 0, true, '''', '''')', name, number);
	END IF;
END $$;

-- close_bucket drops a bucket in which all has been over for a while. It gives up soon if somebody is in its way, so that nobody
-- waits long behind it.
CREATE FUNCTION close_bucket(kind text, number bigint) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '100ms'
AS $$
BEGIN
	PERFORM pg_advisory_xact_lock('bucket'::regclass::oid::integer, 0);
	DELETE FROM bucket b WHERE b.of = kind AND b.bucket = number AND b.ends < clock() - interval '10 seconds';
	IF FOUND THEN
		EXECUTE format('DROP TABLE %I', format('%s_%s_%s', kind, number >> 40, number & ((1::bigint << 40) - 1)));
	END IF;
END $$;

-- sweep deletes up to so many rows of bucket 0 that are over, and returns how many of each kind.
CREATE FUNCTION sweep(most integer, OUT of_done bigint, OUT of_outcome bigint) LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
	WITH over AS (
		SELECT ctid FROM done_0 WHERE forget <= clock() - interval '10 seconds' LIMIT most FOR UPDATE SKIP LOCKED
	)
	DELETE FROM done_0 d USING over o WHERE d.ctid = o.ctid;
	GET DIAGNOSTICS of_done = ROW_COUNT;
	WITH over AS (
		SELECT ctid FROM outcome_0 WHERE expires <= clock() - interval '10 seconds' LIMIT most FOR UPDATE SKIP LOCKED
	)
	DELETE FROM outcome_0 d USING over o WHERE d.ctid = o.ctid;
	GET DIAGNOSTICS of_outcome = ROW_COUNT;
END $$;
