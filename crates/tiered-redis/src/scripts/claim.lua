-- Asks for the right to fill a record.
--
-- KEYS  the record, its lock
-- ARGV  token, placeholder, seen ('' nothing, '*' anything, else a version), life in ms
-- Gives 1 granted, and the record has the token as its version; 2 granted, and it keeps the version that was seen; 3 busy;
-- or the record, if it is another one than was seen.
local key, lock = KEYS[1], KEYS[2]
local token, placeholder, seen, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local GRANTED, BESIDE, BUSY = 1, 2, 3
local CLAIM, PASS, NOBODY = 0xC1, 0xC2, '\0\0\0\0\0\0\0\0'

local function replace()
  redis.call('SET', key, placeholder, 'PX', life)
  return GRANTED
end

-- A value whose life ends during the load would take the right to fill with it.
local function live_on(answer)
  local left = redis.call('PTTL', key)
  if left >= 0 and left < tonumber(life) then
    redis.call('PEXPIRE', key, life)
  end
  return answer
end

-- What is no string, for somebody has put a list or the like there, is no record.
local head = redis.pcall('GETRANGE', key, 0, 16)
if type(head) == 'table' then
  if not head.err:find('WRONGTYPE', 1, true) then
    return head
  end
  head = ''
end
if head == '' then
  return replace()
end

local version = (head .. NOBODY):sub(1, 8)
local kind = head:byte(9)
if (kind == CLAIM or kind == PASS) and redis.call('STRLEN', key) == 17 then
  if version == token then
    return live_on(GRANTED)
  end
  -- The last eight bytes are the mark of the namespace: who has waited for a cleared namespace waits no more.
  if seen == '*' or head:sub(10) ~= placeholder:sub(10) then
    return replace()
  end
  if kind == CLAIM then
    return BUSY
  end
  -- Of those who load under a pass, the last claimant may store.
  redis.call('SETRANGE', key, 0, token)
  return live_on(GRANTED)
end

if seen == '*' then
  redis.call('SETRANGE', key, 0, token)
  version = token
elseif version ~= token then
  if version ~= seen then
    return redis.call('GET', key)
  end
  local claimed = redis.call('GET', lock)
  if claimed and claimed:sub(1, 8) == version and claimed:sub(9) ~= token then
    -- Under a pass, the first who has something may store.
    return claimed:sub(9) == NOBODY and live_on(BESIDE) or BUSY
  end
end
redis.call('SET', lock, version .. token, 'PX', life)
return live_on(version == token and GRANTED or BESIDE)
