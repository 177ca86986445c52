-- Gives a tag the mark of the store's identity, whatever it had. Its fences go on from where they were.
-- KEYS: the tag.   ARGV: the mark.
local tag = redis.call('GET', KEYS[1])
local last = tag and #tag == 24 and struct.unpack('>I8', tag, 17) or 0
redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I8', last))
return 1
