-- Ends a claim, as far as it stands.
--
-- KEYS  the record, its lock
-- ARGV  token, for how long nobody is to wait in ms ('' not at all)
local key, lock = KEYS[1], KEYS[2]
local token, pass = ARGV[1], ARGV[2]
local CLAIM, PASS, NOBODY = 0xC1, 0xC2, '\0\0\0\0\0\0\0\0'

-- The claim ends also where there is no room to say that nobody is to wait.
local function leave(name, bytes)
  if pass == '' or redis.pcall('SET', name, bytes, 'PX', pass).err then
    redis.call('DEL', name)
  end
  return 1
end

-- What is no string, for somebody has put a list or the like there, is no record.
local head = redis.pcall('GETRANGE', key, 0, 16)
if type(head) == 'table' then
  if not head.err:find('WRONGTYPE', 1, true) then
    return head
  end
  head = ''
end
local kind = head:sub(1, 8) == token and head:byte(9)
if (kind == CLAIM or kind == PASS) and redis.call('STRLEN', key) == 17 then
  return leave(key, token .. string.char(PASS) .. head:sub(10))
end

local claimed = redis.call('GET', lock)
if claimed and claimed:sub(9) == token then
  return leave(lock, claimed:sub(1, 8) .. NOBODY)
end
return 0
