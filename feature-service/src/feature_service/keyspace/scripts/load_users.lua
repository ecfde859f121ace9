-- Writes users' records while a generation is loaded, but of those who were forgotten meanwhile. KEYS: forgotten.
-- ARGV: the command (SETNX, SET, APPEND), then three a user: the user, the key, the value.
for i = 2, #ARGV, 3 do
  if redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 0 then redis.call(ARGV[1], ARGV[i + 1], ARGV[i + 2]) end
end
