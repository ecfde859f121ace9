-- Texts of posts out of the generation in service, in the order of the ids; nothing for one that there isn't, or that is
-- gone. Needs gone_now.lua. ARGV: now, the ids.
local g = redis.call('GET', 'generation')
if not g then return false end
local texts, gone = {}, {}
for _, id in ipairs(gone_now('g' .. g, ARGV[1])) do gone[id] = true end
for first = 2, #ARGV, 1000 do -- Lua unpacks at most some 8,000 values
  local page = redis.call('HMGET', 'g' .. g .. ':texts', unpack(ARGV, first, math.min(first + 999, #ARGV)))
  for i = 1, #page do texts[#texts + 1] = not gone[ARGV[first + i - 1]] and page[i] end
end
return texts
