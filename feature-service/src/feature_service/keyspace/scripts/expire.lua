-- Takes down the posts whose second has come, and forgets which went long ago.
-- KEYS: texts, expires, gone, changes, texts_changed. ARGV: now, by the platform's clock; seconds that `gone` looks back.
local due, real = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1]), redis.call('TIME')[1]
for _, id in ipairs(due) do
  redis.call('HDEL', KEYS[1], id); redis.call('ZREM', KEYS[2], id); redis.call('ZADD', KEYS[3], real, id)
end
if #due > 0 then redis.call('INCR', KEYS[4]); redis.call('INCR', KEYS[5]) end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', real - ARGV[2])
return #due
