-- A text and when it expires, of a post that was not published meanwhile. KEYS: texts, expires. ARGV: id, text, second.
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1]) end
