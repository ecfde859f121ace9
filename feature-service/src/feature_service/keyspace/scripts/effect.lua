-- What an entry of the log does at once, so that the very next request sees it: it goes into each of the generations
-- (key prefixes: the one in service, the one under construction). effect: hide, profile, text, gone, forget, or ''
-- for nothing; `text:<second>` of a post that expires.
local function take_effect(generations, effect, key, value)
  local what, expires = string.match(effect, '^(%a*):?(%d*)$')
  if what == 'forget' then -- out of generations that wait to be deleted, too
    for _, old in ipairs(redis.call('ZRANGE', 'retired', 0, -1)) do
      local u = 'g' .. old .. ':u:' .. key
      redis.call('DEL', u .. ':p', u .. ':c', u .. ':h')
    end
    redis.call('SADD', 'forgetting', key)
    if generations[2] then redis.call('SADD', generations[2] .. ':forgotten', key) end
  end
  if what == 'text' or what == 'gone' then redis.call('INCR', 'texts_changed') end
  for _, g in ipairs(generations) do
    if what == 'hide' then redis.call('APPEND', g .. ':u:' .. key .. ':h', value)
    elseif what == 'forget' then
      local u = g .. ':u:' .. key
      redis.call('DEL', u .. ':p', u .. ':c', u .. ':h')
    elseif what == 'profile' then redis.call('SET', g .. ':u:' .. key .. ':p', value)
    elseif what == 'text' then
      redis.call('HSET', g .. ':texts', key, value)
      redis.call('ZREM', g .. ':gone', key)
      if expires == '' then redis.call('ZREM', g .. ':expires', key)
      else redis.call('ZADD', g .. ':expires', expires, key) end
    elseif what == 'gone' then
      redis.call('HDEL', g .. ':texts', key)
      redis.call('ZREM', g .. ':expires', key)
      redis.call('ZADD', g .. ':gone', redis.call('TIME')[1], key)
    end
  end
end
