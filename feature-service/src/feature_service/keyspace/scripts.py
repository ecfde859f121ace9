"""What must happen in Redis at once or not at all."""

from __future__ import annotations

from contracts.catalogue import TICK_SECONDS

# The row of a user out of the generation in service: a flip can never show the old one.
READ_ROW = """
local g = redis.call('GET', 'generation')
if not g then return false end
local u = 'g' .. g .. ':u:' .. ARGV[1]
return redis.call('MGET', u .. ':p', u .. ':c', u .. ':h')
"""

# A value of the generation in service: ARGV[1] is the key's name within it.
READ_VALUE = """
local g = redis.call('GET', 'generation')
if not g then return false end
return redis.call('GET', 'g' .. g .. ':' .. ARGV[1])
"""

READ_TEXTS = """
local g = redis.call('GET', 'generation')
if not g then return false end
local texts = {}
for first = 1, #ARGV, 1000 do -- Lua unpacks at most some 8,000 values
  local page = redis.call('HMGET', 'g' .. g .. ':texts', unpack(ARGV, first, math.min(first + 999, #ARGV)))
  for i = 1, #page do texts[#texts + 1] = page[i] end
end
return texts
"""

# Appends entries to the log; what the very next request must see goes into the generation in service
# and into the one under construction. Five arguments an entry: log, body, effect, its key, its value.
APPEND = """
local g = redis.call('GET', 'generation')
if not g then return false end
local into = {'g' .. g}
local building = redis.call('GET', 'building')
if building then into[2] = 'g' .. building end
local positions = {}
for i = 1, #ARGV, 5 do
  positions[#positions + 1] = redis.call('XADD', ARGV[i], '*', 'e', ARGV[i + 1])
  local effect = ARGV[i + 2]
  for _, prefix in ipairs(into) do
    if effect == 'hide' then redis.call('APPEND', prefix .. ':u:' .. ARGV[i + 3] .. ':h', ARGV[i + 4])
    elseif effect == 'profile' then redis.call('SET', prefix .. ':u:' .. ARGV[i + 3] .. ':p', ARGV[i + 4])
    elseif effect == 'text' then redis.call('HSET', prefix .. ':texts', ARGV[i + 3], ARGV[i + 4])
    end
  end
end
return positions
"""

# Entries of a log as three strings, positions, lengths and bodies: a reply of thousands of nested lists costs its reader
# more than all that is in them. KEYS: log. ARGV: from, to, how many.
READ_LOG = """
local positions, lengths, bodies = {}, {}, {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])) do
  local body = ''
  for f = 1, #entry[2], 2 do if entry[2][f] == 'e' then body = entry[2][f + 1] end end
  positions[i], lengths[i], bodies[i] = entry[1], #body, body
end
return {table.concat(positions, ' '), table.concat(lengths, ' '), table.concat(bodies)}
"""

# Puts dead letters back at the end of their shards of the log, each at most once. What the very next request must see is
# told to the generations as by the append script. Four arguments a letter: its name, effect, its key, its value.
REPLAY = """
local into = {}
for _, pointer in ipairs({'generation', 'building'}) do
  local g = redis.call('GET', pointer)
  if g then into[#into + 1] = 'g' .. g end
end
local replayed = {}
for i = 1, #ARGV, 4 do
  local letter = redis.call('HGET', 'dead_letters', ARGV[i])
  if letter then
    local body = string.sub(letter, string.find(letter, '\\n', 1, true) + 1)
    redis.call('XADD', 'log:' .. string.match(ARGV[i], '^%d+'), '*', 'e', body)
    redis.call('HDEL', 'dead_letters', ARGV[i])
    replayed[#replayed + 1] = ARGV[i]
    for _, prefix in ipairs(into) do
      if ARGV[i + 1] == 'hide' then redis.call('APPEND', prefix .. ':u:' .. ARGV[i + 2] .. ':h', ARGV[i + 3])
      elseif ARGV[i + 1] == 'profile' then redis.call('SET', prefix .. ':u:' .. ARGV[i + 2] .. ':p', ARGV[i + 3])
      elseif ARGV[i + 1] == 'text' then redis.call('HSET', prefix .. ':texts', ARGV[i + 2], ARGV[i + 3])
      end
    end
  end
end
return replayed
"""

# Applies a batch to a generation, if its offset is still the one that the batch starts from.
# KEYS: offset, counts, first_view, tick, hours, counted_until. ARGV: expected, new, then commands with their arguments.
# `count` (a counter's place, time, its hour): what lies before the tick is closed, the rest waits for a later one.
APPLY = """
local at = redis.call('GET', KEYS[1]) or '0-0'
if at ~= ARGV[1] then return 0 end
local tick = tonumber(redis.call('GET', KEYS[4]) or '0')
local counted = tonumber(redis.call('GET', KEYS[6]) or tick)
local i = 3
while i <= #ARGV do
  local what = ARGV[i]
  if what == 'set' then
    redis.call('SET', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'count' then
    if tonumber(ARGV[i + 2]) < tick then
      redis.call('BITFIELD', KEYS[2], 'INCRBY', 'u32', '#' .. ARGV[i + 1], 1)
      counted = math.max(counted, tonumber(ARGV[i + 3]) + HOUR)
    else redis.call('HINCRBY', KEYS[5], ARGV[i + 3] .. ':' .. ARGV[i + 1], 1) end
    i = i + 4
  elseif what == 'first' then
    local now = redis.call('BITFIELD', KEYS[3], 'GET', 'u32', '#' .. ARGV[i + 1])[1]
    if now == 0 or tonumber(ARGV[i + 2]) < now then
      redis.call('BITFIELD', KEYS[3], 'SET', 'u32', '#' .. ARGV[i + 1], ARGV[i + 2])
    end
    i = i + 3
  elseif what == 'append' then
    redis.call('APPEND', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'patch' then
    redis.call('SETRANGE', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]); i = i + 4
  elseif what == 'changed' then
    redis.call('INCR', ARGV[i + 1]); i = i + 2
  elseif what == 'push' then
    redis.call('RPUSH', ARGV[i + 1], ARGV[i + 2]); i = i + 3
  elseif what == 'hset' then
    redis.call('HSET', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]); i = i + 4
  else
    return redis.error_reply('unknown command ' .. what)
  end
end
redis.call('SET', KEYS[6], string.format('%d', counted))
redis.call('SET', KEYS[1], ARGV[2])
return 1
""".replace("HOUR", str(TICK_SECONDS))

# Closes the hours before the new tick: their counts become part of the closed ones.
# KEYS: tick, counts, hours, changes, counted_until. ARGV: the expected tick, the new one.
CLOSE_HOURS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local fields = redis.call('HGETALL', KEYS[3])
local counted = tonumber(redis.call('GET', KEYS[5]) or ARGV[1])
for i = 1, #fields, 2 do
  local hour, place = string.match(fields[i], '(%d+):(%d+)')
  if tonumber(hour) < tonumber(ARGV[2]) then
    redis.call('BITFIELD', KEYS[2], 'INCRBY', 'u32', '#' .. place, fields[i + 1])
    redis.call('HDEL', KEYS[3], fields[i])
    counted = math.max(counted, tonumber(hour) + HOUR)
  end
end
redis.call('SET', KEYS[5], string.format('%d', counted))
redis.call('SET', KEYS[1], ARGV[2]); redis.call('INCR', KEYS[4])
return 1
""".replace("HOUR", str(TICK_SECONDS))

# What a snapshot is made of, at one moment. KEYS: posts, topic_of, topics, counts, first_view, tick, counted_until, changes.
# Versions start from the clock, so that after a Redis that lost everything none comes a second time.
READ_POSTS = """
local last = tonumber(redis.call('GET', 'catalogue_versions') or '0')
local version = math.max(last + 1, tonumber(redis.call('TIME')[1]))
redis.call('SET', 'catalogue_versions', string.format('%d', version))
return {version, redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or '', redis.call('LRANGE', KEYS[3], 0, -1),
        redis.call('GET', KEYS[4]) or '', redis.call('GET', KEYS[5]) or '', redis.call('GET', KEYS[6]) or '0',
        redis.call('GET', KEYS[7]) or redis.call('GET', KEYS[6]) or '0', redis.call('GET', KEYS[8]) or '0'}
"""

# Puts a snapshot into place unless a newer one is there.
# KEYS: catalogue, its version, what it is of. ARGV: version, snapshot, changes.
PUT_SNAPSHOT = """
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2]); redis.call('SET', KEYS[2], ARGV[1]); redis.call('SET', KEYS[3], ARGV[3])
return 1
"""

# Begins a generation under the next number. ARGV: milliseconds of the lease, when to delete it if it is abandoned.
BEGIN = """
local number = 0
for _, key in ipairs({'generation', 'building', 'generations'}) do
  number = math.max(number, tonumber(redis.call('GET', key) or '0'))
end
number = string.format('%d', number + 1)
redis.call('SET', 'generations', number)
redis.call('SET', 'building', number, 'PX', ARGV[1])
redis.call('ZADD', 'retired', ARGV[2], number)
return tonumber(number)
"""

# Renews the lease of a generation that is still the one under construction. ARGV: it, then as for BEGIN.
RENEW = """
if redis.call('GET', 'building') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', 'building', ARGV[2])
redis.call('ZADD', 'retired', ARGV[3], ARGV[1])
return 1
"""

# Ends the construction of a generation, and leaves another one's alone. ARGV: it.
ABANDON = """
if redis.call('GET', 'building') == ARGV[1] then redis.call('DEL', 'building') end
"""

# Puts the new generation into service if it has applied every shard at least as far as the old one.
# ARGV: new generation, when to delete the old one, number of the last shard.
FLIP = """
if redis.call('GET', 'building') ~= ARGV[1] then return -1 end
local function before(a, b)
  local ams, aseq = string.match(a, '(%d+)-(%d+)'); local bms, bseq = string.match(b, '(%d+)-(%d+)')
  if tonumber(ams) ~= tonumber(bms) then return tonumber(ams) < tonumber(bms) end
  return tonumber(aseq) < tonumber(bseq)
end
local old = redis.call('GET', 'generation')
if old then
  for shard = 0, tonumber(ARGV[3]) do
    local mine = redis.call('GET', 'g' .. ARGV[1] .. ':offset:' .. shard) or '0-0'
    local theirs = redis.call('GET', 'g' .. old .. ':offset:' .. shard) or '0-0'
    if before(mine, theirs) then return 0 end
  end
  redis.call('ZADD', 'retired', ARGV[2], old)
end
redis.call('ZREM', 'retired', ARGV[1])
redis.call('SET', 'generation', ARGV[1]); redis.call('DEL', 'building')
return 1
"""

# A lock that only its owner renews. KEYS: lock. ARGV: token, milliseconds.
OWN = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
