-- Appends a post to the log unless its topic would be one too many: answers 0 then. Needs effect.lua.
-- ARGV: log, body, the post's effect, its id, its text, its topic, how many topics there may be.
local g = redis.call('GET', 'generation')
if not g then return false end
local known = 'g' .. g .. ':known_topics'
if redis.call('SISMEMBER', known, ARGV[6]) == 0 and redis.call('SCARD', known) >= tonumber(ARGV[7]) then return 0 end
local generations = {'g' .. g}
local building = redis.call('GET', 'building')
if building then generations[2] = 'g' .. building end
redis.call('XADD', ARGV[1], '*', 'e', ARGV[2])
for _, each in ipairs(generations) do redis.call('SADD', each .. ':known_topics', ARGV[6]) end
take_effect(generations, ARGV[3], ARGV[4], ARGV[5])
return 1
