-- ARGV: mark, wait, token, fingerprint, lease in microseconds, 1 to rerun.
-- Returns the time and the fence of a new claim; or the time, 0, the record and its outcome.
if state == ABSENT or state == UNKNOWN and ARGV[6] == '1' and token ~= NOBODY and fingerprint == ARGV[4] then
  local next = math.max(now, struct.unpack('>I8', tag, 17) + 1)
  redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I8', next))
  redis.call('SET', KEYS[2], pack(RUNNING, 0, ARGV[3], ARGV[4], next, now, now + ARGV[5], 0, 0))
  if kept == 1 then redis.call('DEL', KEYS[3]) end
  return {now, next}
end
if state == RUNNING and token ~= ARGV[3] and watched == 0 then -- whoever gets this answer may wait
  redis.pcall('SET', KEYS[2], pack(RUNNING, 2, token, fingerprint, fence, created, lease, 0, 0))
end
return unchanged(0)
