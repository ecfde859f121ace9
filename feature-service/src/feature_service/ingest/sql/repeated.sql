-- Which rows the feed has already, by their places, from 1 on.
SELECT n
FROM unnest(:users, :posts, :actions, :times) WITH ORDINALITY AS t(u, p, a, at, n)
WHERE EXISTS (SELECT FROM feed_data WHERE user_id = u AND timestamp = at AND post_id = p AND action = a)
