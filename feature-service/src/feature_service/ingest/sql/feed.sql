INSERT INTO feed_data (timestamp, user_id, post_id, action, target)
SELECT at, u, p, a, CASE a WHEN 'view' THEN coalesce(target, 0) END
FROM unnest(:times, :users, :posts, :actions, :targets) AS t(at, u, p, a, target)
