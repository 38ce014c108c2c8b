-- Puts marks in place of those there, at one moment.
--
-- KEYS  the names
-- ARGV  for each name: a version, its life in ms
for place, name in ipairs(KEYS) do
  redis.call('SET', name, ARGV[2 * place - 1], 'PX', ARGV[2 * place])
end
return 1
