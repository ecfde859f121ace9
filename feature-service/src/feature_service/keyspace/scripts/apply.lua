-- Applies a batch to a generation, if its offset is still the one that the batch starts from.
-- KEYS: offset, counts, first_view, tick, hours, counted_until.
-- ARGV: the expected offset, the new one, then commands with their arguments.
-- `count` (a counter's place, time, its hour): what lies before the tick is closed, the rest waits for a later one.
local at = redis.call('GET', KEYS[1]) or '0-0'
if at ~= ARGV[1] then return 0 end
local tick = tonumber(redis.call('GET', KEYS[4]) or '0')
local counted = tonumber(redis.call('GET', KEYS[6]) or tick)
local i = 3
while i <= #ARGV do
  local what = ARGV[i]
  if what == 'set' then
    redis.call('SET', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'count' then
    if tonumber(ARGV[i + 2]) < tick then
      redis.call('BITFIELD', KEYS[2], 'INCRBY', 'u32', '#' .. ARGV[i + 1], 1)
      counted = math.max(counted, tonumber(ARGV[i + 3]) + HOUR)
    else redis.call('HINCRBY', KEYS[5], ARGV[i + 3] .. ':' .. ARGV[i + 1], 1) end
    i = i + 4
  elseif what == 'first' then
    local now = redis.call('BITFIELD', KEYS[3], 'GET', 'u32', '#' .. ARGV[i + 1])[1]
    if now == 0 or tonumber(ARGV[i + 2]) < now then
      redis.call('BITFIELD', KEYS[3], 'SET', 'u32', '#' .. ARGV[i + 1], ARGV[i + 2])
    end
    i = i + 3
  elseif what == 'append' then
    redis.call('APPEND', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'patch' then
    redis.call('SETRANGE', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]); i = i + 4
  elseif what == 'del' then
    redis.call('DEL', ARGV[i + 1]); i = i + 2
  elseif what == 'changed' then
    redis.call('INCR', ARGV[i + 1]); i = i + 2
  elseif what == 'push' then
    redis.call('RPUSH', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'hset' then
    redis.call('HSET', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]); i = i + 4
  else
    return redis.error_reply('unknown command ' .. what)
  end
end
redis.call('SET', KEYS[6], string.format('%d', counted))
redis.call('SET', KEYS[1], ARGV[2])
return 1
