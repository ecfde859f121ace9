-- Posts of a generation (its prefix) that are gone, though a snapshot may show them: those that went lately, and those
-- whose second has come. now: epoch seconds, by the platform's clock.
local function gone_now(g, now)
  local ids = redis.call('ZRANGE', g .. ':gone', 0, -1)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', g .. ':expires', '-inf', now)) do ids[#ids + 1] = id end
  return ids
end
