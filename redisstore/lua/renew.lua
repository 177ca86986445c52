-- ARGV: mark, wait, token, lease in microseconds.
-- Returns 1 if the claim lives on; the time and 0 if the token is stale. A lapsed claim is still stored as running.
if stored ~= RUNNING or token ~= ARGV[3] or token == NOBODY then return unchanged(0) end
redis.call('SET', KEYS[2], pack(RUNNING, watched, token, fingerprint, fence, created, now + ARGV[4], 0, 0))
return 1
