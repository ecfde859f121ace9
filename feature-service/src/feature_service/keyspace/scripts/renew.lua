-- Renews the lease of a generation that is still the one under construction. ARGV: it, then as begin.lua has them.
if redis.call('GET', 'building') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', 'building', ARGV[2])
redis.call('ZADD', 'retired', ARGV[3], ARGV[1])
return 1
