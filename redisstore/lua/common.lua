-- What every script begins with. The scripts decide as the Apply methods of package refrain do; records.go has the layout.
-- KEYS: the tag, the record, its outcome.   ARGV: first the mark of the store's identity, then 1 if WAIT follows.
local ABSENT, RUNNING, UNKNOWN, DONE, EXPIRED = 0, 1, 2, 3, 4
local HEAD, NOBODY = '>BBBc16c32I8I8I8I8I8', '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

local tag = redis.call('GET', KEYS[1])
if not tag or #tag ~= 24 or string.sub(tag, 1, 16) ~= ARGV[1] then
  return redis.error_reply('LOST the database is not the one it was')
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local value = redis.pcall('GET', KEYS[2])
if type(value) == 'table' then
  if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
  value = '' -- it is something, but no record
end

local function sum(head) return string.sub(redis.sha1hex(KEYS[2] .. head), 1, 8) end

-- Of the record as it stands now; stored is its state as it was written, kept whether it has an outcome, watched (2 or 0)
-- whether somebody waits for its end.
local state, stored, kept, watched, token = ABSENT, ABSENT, 0, 0, NOBODY
local fingerprint, fence, created, lease, retain, forget
if value then
  state = UNKNOWN -- and of nobody: it cannot be read
  if #value == 99 and string.sub(value, 92) == sum(string.sub(value, 1, 91)) and string.byte(value) == 1 then
    local _
    _, stored, kept, token, fingerprint, fence, created, lease, retain, forget = struct.unpack(HEAD, value)
    kept, watched = kept % 2, kept - kept % 2
    state = stored
    if state == RUNNING and now >= lease then
      state = UNKNOWN
    elseif state == DONE and now >= forget then
      state, value = ABSENT, false
    elseif state == DONE and now >= retain then
      state = EXPIRED
    end
  end
end

local function pack(state, kept, token, fingerprint, fence, created, lease, retain, forget)
  local head = struct.pack(HEAD, 1, state, kept, token, fingerprint, fence, created, lease, retain, forget)
  return head .. sum(head)
end

-- outcome returns the bytes of the outcome, or false, also when it is something else.
local function outcome()
  if kept == 0 or state == EXPIRED or state == ABSENT then return false end
  local bytes = redis.pcall('GET', KEYS[3])
  return type(bytes) == 'string' and bytes
end

-- at returns a time for PXAT, no earlier than it is.
local function at(us) return string.format('%.0f', math.ceil(us / 1000)) end

-- unchanged returns what is there. PERSIST changes nothing, but a replica refuses it, as it does every write: nobody decides by
-- what a replica knows. Since Redis 7.2 a WAIT that follows waits only if something is written: PERSIST then takes back a date
-- in the year 2286. A full server lets both pass. It is not called before a script writes, for after it that would take any write.
local function unchanged(code)
  if ARGV[2] == '1' then redis.call('PEXPIREAT', KEYS[1], '9999999999999') end
  redis.call('PERSIST', KEYS[1])
  return {now, code, value, outcome()}
end

-- ended tells those who wait. It is only a help: who is not told asks again by himself.
local function ended()
  if watched > 0 then redis.pcall('PUBLISH', string.match(KEYS[1], '^(.-):{') .. ':ended', string.sub(KEYS[2], -64)) end
end
