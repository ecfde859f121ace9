-- Users whose answers are more than this share of all.
SELECT user_id
FROM exposure_days
WHERE experiment = :name
GROUP BY user_id
HAVING sum(exposures) > CAST(:share AS float8) * (SELECT sum(exposures) FROM exposure_days WHERE experiment = :name)
ORDER BY user_id
