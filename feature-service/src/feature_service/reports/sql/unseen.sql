-- Of the latest answers old enough to have been looked at: how many of them no view of any of their posts followed. Of
-- likes that joined them, how many are dated before them.
WITH latest AS MATERIALIZED (
  SELECT key, user_id, served_at, posts
  FROM exposures
  WHERE experiment = :name AND served_at <= :seen AND served_at > :since AND user_id <> ALL (:forced)
  ORDER BY served_at DESC
  LIMIT :most
)
SELECT count(*) AS answers, count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM feed_data f
    WHERE f.user_id = latest.user_id AND f.timestamp > latest.served_at - interval '5 minutes'
      AND f.timestamp < latest.served_at + interval '1 hour' AND f.post_id = ANY (latest.posts))) AS unseen,
  (SELECT count(*) FROM exposure_likes l JOIN latest USING (key)) AS likes,
  (SELECT count(*) FROM exposure_likes l JOIN latest USING (key) WHERE l.at < latest.served_at - interval '1 second')
    AS before_shown
FROM latest
