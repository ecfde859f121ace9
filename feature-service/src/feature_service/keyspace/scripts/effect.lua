-- What an entry of the log does at once, so that the very next request sees it: it goes into each of the generations
-- (key prefixes: the one in service, the one under construction). effect: hide, profile, text, or '' for nothing.
local function take_effect(generations, effect, key, value)
  if effect == 'text' then redis.call('INCR', 'texts_changed') end
  for _, g in ipairs(generations) do
    if effect == 'hide' then redis.call('APPEND', g .. ':u:' .. key .. ':h', value)
    elseif effect == 'profile' then redis.call('SET', g .. ':u:' .. key .. ':p', value)
    elseif effect == 'text' then redis.call('HSET', g .. ':texts', key, value)
    end
  end
end
