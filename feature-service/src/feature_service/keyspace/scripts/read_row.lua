-- The rows of users out of the generation in service: a flip can never show the old one. Needs gone_now.lua.
-- ARGV: now, the users. Three values a user, in their order (profile, counts, hidden ids), then the posts that are gone,
-- as uint32 each.
local g = redis.call('GET', 'generation')
if not g then return false end
local names, parts = {}, {}
for i = 2, #ARGV do
  local u = 'g' .. g .. ':u:' .. ARGV[i]
  local at = 3 * (i - 2)
  names[at + 1], names[at + 2], names[at + 3] = u .. ':p', u .. ':c', u .. ':h'
end
if #names > 0 then parts = redis.call('MGET', unpack(names)) end
local gone = gone_now('g' .. g, ARGV[1])
for i, id in ipairs(gone) do gone[i] = struct.pack('<I4', tonumber(id)) end
parts[#names + 1] = table.concat(gone)
return parts
