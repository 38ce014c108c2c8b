-- Reads marks; where there is none, the given one is put there.
--
-- KEYS  the names
-- ARGV  for each name: a version, its life in ms
-- Gives the marks, eight bytes each: as one string, for it has to be one reply.
local marks = {}
for place, name in ipairs(KEYS) do
  local version, life = ARGV[2 * place - 1], ARGV[2 * place]
  local mark = redis.pcall('GET', name)
  if type(mark) == 'table' and not mark.err:find('WRONGTYPE', 1, true) then
    return mark
  end
  if type(mark) == 'string' and #mark == 8 then
    -- A mark that is in use does not end: with it, all that carries it would.
    local left = redis.call('PTTL', name)
    if left >= 0 and left < tonumber(life) / 2 then
      -- A server that takes no writes at present still lets it be read.
      redis.pcall('PEXPIRE', name, life)
    end
  else
    mark = version
    redis.call('SET', name, mark, 'PX', life)
  end
  marks[place] = mark
end
return table.concat(marks)
