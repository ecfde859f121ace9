-- Each user's last views, by the index on users and times: not by a pass over the feed.
SELECT asked.user_id, post_id, timestamp
FROM unnest(CAST(:users AS int[])) AS asked(user_id), LATERAL (
  SELECT post_id, timestamp
  FROM feed_data
  WHERE user_id = asked.user_id AND action = 'view' AND EXISTS (SELECT FROM post_text_df WHERE id = post_id)
  ORDER BY timestamp DESC, post_id DESC
  LIMIT :recent
) AS last
