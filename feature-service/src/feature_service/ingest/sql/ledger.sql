-- Which events are new, by their positions. One whose post was unknown is asked again when it comes again: it counts,
-- or becomes a dead letter again.
INSERT INTO event_ledger (user_id, key, shard, position, fate)
SELECT u, k, :shard, p, f
FROM unnest(:users, :keys, :positions, :fates) AS t(u, k, p, f)
ON CONFLICT (user_id, key) DO UPDATE
SET shard = excluded.shard, position = excluded.position, fate = excluded.fate
WHERE event_ledger.fate = 'unknown_post'
RETURNING position
