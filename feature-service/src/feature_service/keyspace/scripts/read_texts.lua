-- Texts of posts out of the generation in service, in the order of ARGV; nothing for one that there isn't.
local g = redis.call('GET', 'generation')
if not g then return false end
local texts = {}
for first = 1, #ARGV, 1000 do -- Lua unpacks at most some 8,000 values
  local page = redis.call('HMGET', 'g' .. g .. ':texts', unpack(ARGV, first, math.min(first + 999, #ARGV)))
  for i = 1, #page do texts[#texts + 1] = page[i] end
end
return texts
