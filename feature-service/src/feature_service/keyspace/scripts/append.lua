-- Appends entries to the log. Needs effect.lua. Five arguments an entry: log, body, effect, its key, its value.
local g = redis.call('GET', 'generation')
if not g then return false end
local generations = {'g' .. g}
local building = redis.call('GET', 'building')
if building then generations[2] = 'g' .. building end
local positions = {}
for i = 1, #ARGV, 5 do
  positions[#positions + 1] = redis.call('XADD', ARGV[i], '*', 'e', ARGV[i + 1])
  take_effect(generations, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
return positions
