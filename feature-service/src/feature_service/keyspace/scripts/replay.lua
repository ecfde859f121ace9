-- Puts dead letters back at the end of their shards of the log, each at most once, but of users who are forgotten: they
-- would come back behind their erasure. Needs effect.lua.
-- Four arguments a letter: its name, effect, its key, its value.
local generations = {}
for _, pointer in ipairs({'generation', 'building'}) do
  local g = redis.call('GET', pointer)
  if g then generations[#generations + 1] = 'g' .. g end
end
local replayed = {}
for i = 1, #ARGV, 4 do
  local letter = redis.call('HGET', 'dead_letters', ARGV[i])
  local user = letter and string.match(letter, '"user_id":%s*(%d+)')
  if letter and not (user and redis.call('SISMEMBER', 'forgetting', user) == 1) then
    local body = string.sub(letter, string.find(letter, '\n', 1, true) + 1)
    redis.call('XADD', 'log:' .. string.match(ARGV[i], '^%d+'), '*', 'e', body)
    redis.call('HDEL', 'dead_letters', ARGV[i])
    replayed[#replayed + 1] = ARGV[i]
    take_effect(generations, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  end
end
return replayed
