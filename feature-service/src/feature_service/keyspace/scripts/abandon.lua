-- Ends the construction of a generation, and leaves another one's alone. ARGV: it.
if redis.call('GET', 'building') == ARGV[1] then redis.call('DEL', 'building') end
