SELECT user_id, post_id
FROM feed_data
WHERE action = 'like'
GROUP BY user_id, post_id
ORDER BY user_id, min(timestamp), post_id
