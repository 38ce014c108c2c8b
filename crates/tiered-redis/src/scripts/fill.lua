-- Stores a record under a claim, and ends the claim.
--
-- KEYS  the record, its lock
-- ARGV  held, token, record, life in ms
-- Gives 1 if the record there is now this one, else 0.
local key, lock = KEYS[1], KEYS[2]
local held, token, record, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ZEROS = '\0\0\0\0\0\0\0\0'

-- Last: to a script that has begun to write, a full server refuses nothing any more.
local function done(reply)
  local claimed = redis.call('GET', lock)
  if claimed and claimed:sub(9) == token then
    redis.call('DEL', lock)
  end
  return reply
end

-- What is no string, for somebody has put a list or the like there, is no record.
local head = redis.pcall('GETRANGE', key, 0, 7)
if type(head) == 'table' then
  if not head.err:find('WRONGTYPE', 1, true) then
    return head
  end
  head = ''
end
if head == '' then
  return done(0)
end

local version = (head .. ZEROS):sub(1, 8)
-- The reply to an earlier attempt was lost.
if version == (record:sub(1, 8) .. ZEROS):sub(1, 8) then
  return done(1)
end
if version == held then
  local written = redis.pcall('SET', key, record, 'PX', life)
  return done(written.err and written or 1)
end
return done(0)
