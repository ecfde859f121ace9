-- What lies behind the tick and waits for a later one. band: as post_counts.sql has it.
SELECT post_id, width_bucket(age, CAST(:bands AS int[])) AS band, action, date_trunc('hour', timestamp) AS hour,
  count(*) AS n
FROM feed_data LEFT JOIN user_data USING (user_id)
WHERE timestamp >= :tick
GROUP BY 1, 2, 3, 4
