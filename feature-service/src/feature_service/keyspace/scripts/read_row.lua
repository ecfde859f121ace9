-- The rows of users out of the generation in service: a flip can never show the old one. ARGV: the users.
-- Three values a user, in their order: profile, counts, hidden ids.
local g = redis.call('GET', 'generation')
if not g then return false end
local names = {}
for i = 1, #ARGV do
  local u = 'g' .. g .. ':u:' .. ARGV[i]
  names[3 * i - 2], names[3 * i - 1], names[3 * i] = u .. ':p', u .. ':c', u .. ':h'
end
return redis.call('MGET', unpack(names))
