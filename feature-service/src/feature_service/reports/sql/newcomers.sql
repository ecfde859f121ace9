-- By the day on which they first came, of these days.
SELECT first, count(*) AS users
FROM (SELECT user_id, min(day) AS first FROM exposure_days WHERE day >= :since AND day < :until GROUP BY user_id) came
GROUP BY first
ORDER BY first
