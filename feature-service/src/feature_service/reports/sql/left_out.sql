SELECT exp_group, count(DISTINCT user_id) AS users, sum(exposures) AS exposures
FROM exposure_days
WHERE experiment = :name AND user_id = ANY (:left_out)
GROUP BY 1
