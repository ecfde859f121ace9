-- Drops the texts of posts that were taken down while the generation was loaded. KEYS: texts, gone.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do redis.call('HDEL', KEYS[1], id) end
