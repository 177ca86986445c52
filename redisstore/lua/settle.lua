-- ARGV: mark, wait, token, ending, the token that settles instead or nothing, retention and tombstone in microseconds, the
-- outcome or nothing.
-- Returns the time and 0, the record and its outcome if it was ended before in this way; 1 and the new record if it is now; 2 if
-- it is removed; 3 if the token is stale.
local FINISHED, RELEASED, UNDECIDED, FORGOTTEN = '1', '2', '3', '4'
local ending, instead, blob = ARGV[4], ARGV[5], ARGV[8]

local function remove()
  redis.call('DEL', KEYS[2], KEYS[3])
  ended()
  return {now, 2}
end

if instead ~= '' then
  if ending == FINISHED and token == instead and (state == DONE or state == EXPIRED) then return unchanged(0) end
  if state ~= UNKNOWN then return unchanged(3) end
end
if state == ABSENT or token ~= ARGV[3] or token == NOBODY then return unchanged(3) end
if state == DONE or state == EXPIRED then
  if ending == FORGOTTEN then return remove() end
  if ending ~= FINISHED then return unchanged(3) end
  return unchanged(0)
end
if ending == RELEASED then return remove() end
if ending == UNDECIDED then
  local has = blob ~= '' and 1 or 0
  local head = pack(UNKNOWN, has, token, fingerprint, fence, created, 0, 0, 0)
  if has == 1 then redis.call('SET', KEYS[3], blob) elseif kept == 1 then redis.call('DEL', KEYS[3]) end
  redis.call('SET', KEYS[2], head)
  ended()
  return {now, 1, head}
end
if ending ~= FINISHED then return unchanged(3) end
retain = now + ARGV[6]
forget = retain + ARGV[7]
if instead ~= '' then token = instead end
local head = pack(DONE, 1, token, fingerprint, fence, created, 0, retain, forget)
if forget <= now then
  redis.call('DEL', KEYS[2], KEYS[3])
  ended()
  return {now, 1, head}
end
if retain > now then
  redis.call('SET', KEYS[3], blob, 'PXAT', at(retain))
elseif kept == 1 then
  redis.call('DEL', KEYS[3])
end
redis.call('SET', KEYS[2], head, 'PXAT', at(forget))
ended()
return {now, 1, head}
