-- Closes the hours before the new tick: their counts become part of the closed ones.
-- KEYS: tick, counts, hours, changes, counted_until. ARGV: the expected tick, the new one.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local fields = redis.call('HGETALL', KEYS[3])
local counted = tonumber(redis.call('GET', KEYS[5]) or ARGV[1])
for i = 1, #fields, 2 do
  local hour, place = string.match(fields[i], '(%d+):(%d+)')
  if tonumber(hour) < tonumber(ARGV[2]) then
    redis.call('BITFIELD', KEYS[2], 'INCRBY', 'u32', '#' .. place, fields[i + 1])
    redis.call('HDEL', KEYS[3], fields[i])
    counted = math.max(counted, tonumber(hour) + HOUR)
  end
end
redis.call('SET', KEYS[5], string.format('%d', counted))
redis.call('SET', KEYS[1], ARGV[2]); redis.call('INCR', KEYS[4])
return 1
