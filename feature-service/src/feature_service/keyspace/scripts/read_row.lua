-- The row of a user out of the generation in service: a flip can never show the old one.
local g = redis.call('GET', 'generation')
if not g then return false end
local u = 'g' .. g .. ':u:' .. ARGV[1]
return redis.call('MGET', u .. ':p', u .. ':c', u .. ':h')
