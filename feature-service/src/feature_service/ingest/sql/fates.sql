-- What became of events, by their positions in the log.
SELECT position, fate
FROM event_ledger
WHERE shard = :shard AND (user_id, key) IN (
  SELECT u, k FROM unnest(CAST(:users AS integer[]), :keys) AS t(u, k))
