-- Begins a generation under the next number; it knows which posts went lately. ARGV: milliseconds of the lease, when to delete it if it is abandoned.
local number = 0
for _, key in ipairs({'generation', 'building', 'generations'}) do
  number = math.max(number, tonumber(redis.call('GET', key) or '0'))
end
number = string.format('%d', number + 1)
redis.call('SET', 'generations', number)
redis.call('SET', 'building', number, 'PX', ARGV[1])
local served = redis.call('GET', 'generation')
if served then redis.call('COPY', 'g' .. served .. ':gone', 'g' .. number .. ':gone') end
redis.call('ZADD', 'retired', ARGV[2], number)
return tonumber(number)
