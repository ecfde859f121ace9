-- What a snapshot is made of, at one moment.
-- KEYS: posts, topic_of, topics, counts, first_view, tick, counted_until, gone_at, changes.
-- Versions start from the clock, so that after a Redis that lost everything none comes a second time.
local last = tonumber(redis.call('GET', 'catalogue_versions') or '0')
local version = math.max(last + 1, tonumber(redis.call('TIME')[1]))
redis.call('SET', 'catalogue_versions', string.format('%d', version))
return {
  version,
  redis.call('GET', KEYS[1]) or '',
  redis.call('GET', KEYS[2]) or '',
  redis.call('LRANGE', KEYS[3], 0, -1),
  redis.call('GET', KEYS[4]) or '',
  redis.call('GET', KEYS[5]) or '',
  redis.call('GET', KEYS[6]) or '0',
  redis.call('GET', KEYS[7]) or redis.call('GET', KEYS[6]) or '0',
  redis.call('GET', KEYS[8]) or '',
  redis.call('GET', KEYS[9]) or '0',
}
