-- settle_tx finishes one operation in the caller's transaction, in types that every driver knows: times are microseconds since
-- 1970. It waits for whoever holds the operation, for a short time: only another such transaction holds it longer.
CREATE FUNCTION settle_tx(
	store uuid, lock bigint, id bytea, token bytea, retention bigint, tombstone bigint,
	outcome_width smallint, done_width smallint, status integer, omitted boolean, meta bytea, body bytea
) RETURNS TABLE (
	written boolean, at bigint, live boolean, k_token bytea, fence bigint, fingerprint bytea, created bigint, lease bigint,
	retain bigint, forget bigint
) LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT s.written, us(s.at), s.live, s.token, s.fence, s.fingerprint, us(s.created), us(s.lease), us(s.retain),
		us(nullif(s.forget, 'infinity'))
	FROM settle(store, ARRAY[lock], ARRAY[id], ARRAY[token], ARRAY[NULL::bytea], ARRAY[1::smallint], ARRAY[retention],
		ARRAY[tombstone], ARRAY[outcome_width], ARRAY[done_width], ARRAY[status], ARRAY[omitted], ARRAY[meta], ARRAY[body], true) AS s;
EXCEPTION WHEN check_violation THEN
	-- A bucket was opened since the transaction used these tables first: it does not learn of that. Bucket 0 is always there.
	IF done_width = 0 THEN
		RAISE;
	END IF;
	RETURN QUERY
	SELECT * FROM settle_tx(store, lock, id, token, retention, tombstone, 0::smallint, 0::smallint, status, omitted, meta, body);
END $$;
