-- Puts the new generation into service if it has applied every shard at least as far as the old one.
-- ARGV: new generation, when to delete the old one, number of the last shard.
if redis.call('GET', 'building') ~= ARGV[1] then return -1 end
local function before(a, b)
  local ams, aseq = string.match(a, '(%d+)-(%d+)'); local bms, bseq = string.match(b, '(%d+)-(%d+)')
  if tonumber(ams) ~= tonumber(bms) then return tonumber(ams) < tonumber(bms) end
  return tonumber(aseq) < tonumber(bseq)
end
local old = redis.call('GET', 'generation')
if old then
  for shard = 0, tonumber(ARGV[3]) do
    local mine = redis.call('GET', 'g' .. ARGV[1] .. ':offset:' .. shard) or '0-0'
    local theirs = redis.call('GET', 'g' .. old .. ':offset:' .. shard) or '0-0'
    if before(mine, theirs) then return 0 end
  end
  redis.call('ZADD', 'retired', ARGV[2], old)
end
redis.call('ZREM', 'retired', ARGV[1])
redis.call('SET', 'generation', ARGV[1]); redis.call('DEL', 'building', 'g' .. ARGV[1] .. ':forgotten')
return 1
