-- Entries of a log as three strings, positions, lengths and bodies: a reply of thousands of nested lists costs its
-- reader more than all that is in them. KEYS: log. ARGV: from, to, how many.
local positions, lengths, bodies = {}, {}, {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
  local body = ''
  for f = 1, #entry[2], 2 do if entry[2][f] == 'e' then body = entry[2][f + 1] end end
  positions[i], lengths[i], bodies[i] = entry[1], #body, body
end
return {table.concat(positions, ' '), table.concat(lengths, ' '), table.concat(bodies)}
