-- Gives an entry a new version and marks it stale; removes what is no entry.
--
-- KEYS  the record
-- ARGV  version
-- Gives the head of what was there, nil if there was nothing.
local key, version = KEYS[1], ARGV[1]
local VALUE, STALE = 0xA1, 0xA2

-- What is no string, for somebody has put a list or the like there, is no entry.
local head = redis.pcall('GETRANGE', key, 0, 63)
if type(head) == 'table' then
  if not head.err:find('WRONGTYPE', 1, true) then
    return head
  end
  head = ''
end

local kind = head:byte(9)
if kind == VALUE or kind == STALE then
  local written = redis.pcall('SETRANGE', key, 0, version .. string.char(STALE))
  -- A server that is full takes no write: then the entry goes, for fresh it must not stay.
  if type(written) == 'table' then
    redis.call('UNLINK', key)
  end
  return head
end
if redis.call('UNLINK', key) == 0 then
  return false
end
return head
