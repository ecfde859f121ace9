-- Entries of a log as three strings, positions, lengths and bodies: a reply of thousands of nested lists costs its
-- reader more than all that is in them. KEYS: log. ARGV: from, to, how many, how many bytes of bodies are enough.
local positions, lengths, bodies, from, bytes = {}, {}, {}, ARGV[1], 0
repeat
  local many = math.min(100, ARGV[3] - #positions)
  local page = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', many)
  for _, entry in ipairs(page) do
    local body = ''
    for f = 1, #entry[2], 2 do if entry[2][f] == 'e' then body = entry[2][f + 1] end end
    positions[#positions + 1], lengths[#lengths + 1], bodies[#bodies + 1] = entry[1], #body, body
    from, bytes = '(' .. entry[1], bytes + #body
  end
until #page < many or #positions >= tonumber(ARGV[3]) or bytes >= tonumber(ARGV[4])
return {table.concat(positions, ' '), table.concat(lengths, ' '), table.concat(bodies)}
