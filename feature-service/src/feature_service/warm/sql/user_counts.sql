SELECT user_id, topic,
  count(*) FILTER (WHERE action = 'view') AS views,
  count(*) FILTER (WHERE action = 'like') AS likes,
  max(timestamp) FILTER (WHERE action = 'view') AS last_view,
  max(timestamp) FILTER (WHERE action = 'like') AS last_like
FROM feed_data JOIN post_text_df ON id = post_id
GROUP BY user_id, topic
ORDER BY user_id
