-- Lets a claim live on, if it still stands.
--
-- KEYS  the record, its lock
-- ARGV  held, token, life in ms
-- Gives 1 if it stands, else 0.
local key, lock = KEYS[1], KEYS[2]
local held, token, life = ARGV[1], ARGV[2], ARGV[3]
local CLAIM, PASS, NOBODY = 0xC1, 0xC2, '\0\0\0\0\0\0\0\0'

-- What is no string, for somebody has put a list or the like there, is no record.
local head = redis.pcall('GETRANGE', key, 0, 16)
if type(head) == 'table' then
  if not head.err:find('WRONGTYPE', 1, true) then
    return head
  end
  head = ''
end
if head == '' or (head .. NOBODY):sub(1, 8) ~= held then
  return 0
end

local kind = head:byte(9)
local is_placeholder = (kind == CLAIM or kind == PASS) and redis.call('STRLEN', key) == 17
if not is_placeholder then
  local claimed = redis.call('GET', lock)
  local owner = claimed and claimed:sub(1, 8) == held and claimed:sub(9)
  if owner and owner ~= token and owner ~= NOBODY then
    return 0
  end
  -- A pass excludes nobody, and is to stay one.
  if owner ~= NOBODY then
    redis.call('SET', lock, held .. token, 'PX', life)
  end
end

-- Never shortens the life of the record.
local left = redis.call('PTTL', key)
if left >= 0 and left < tonumber(life) then
  redis.call('PEXPIRE', key, life)
end
return 1
