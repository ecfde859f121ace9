-- Puts a snapshot into place unless a newer one is there.
-- KEYS: catalogue, its version, how many changes it shows. ARGV: version, snapshot, changes.
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2]); redis.call('SET', KEYS[2], ARGV[1]); redis.call('SET', KEYS[3], ARGV[3])
return 1
