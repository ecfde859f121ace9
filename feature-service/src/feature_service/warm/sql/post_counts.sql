-- band: the viewer's age band, NULL for an unknown age or user. Before the tick, but for all_likes and first_view.
SELECT post_id, width_bucket(age, CAST(:bands AS int[])) AS band,
  count(*) FILTER (WHERE action = 'view' AND timestamp < :tick) AS views,
  count(*) FILTER (WHERE action = 'like' AND timestamp < :tick) AS likes,
  count(*) FILTER (WHERE action = 'like') AS all_likes,
  max(timestamp) FILTER (WHERE timestamp < :tick) AS last,
  min(min(timestamp) FILTER (WHERE action = 'view')) OVER (PARTITION BY post_id) AS first_view
FROM feed_data LEFT JOIN user_data USING (user_id)
GROUP BY 1, 2
