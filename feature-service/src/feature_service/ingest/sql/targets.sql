-- The view that a like follows is the user's latest one of that post before it.
UPDATE feed_data SET target = 1
FROM (
  SELECT DISTINCT ON (l.u, l.p, l.t) l.u, l.p, v.timestamp AS at
  FROM unnest(:users, :posts, :times) AS l(u, p, t)
  JOIN feed_data v ON v.user_id = l.u AND v.post_id = l.p AND v.action = 'view' AND v.timestamp <= l.t
  ORDER BY l.u, l.p, l.t, v.timestamp DESC
) liked
WHERE user_id = liked.u AND post_id = liked.p AND action = 'view' AND timestamp = liked.at
