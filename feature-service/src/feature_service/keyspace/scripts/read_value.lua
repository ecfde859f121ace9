-- A value of the generation in service: ARGV[1] is the key's name within it.
local g = redis.call('GET', 'generation')
if not g then return false end
return redis.call('GET', 'g' .. g .. ':' .. ARGV[1])
