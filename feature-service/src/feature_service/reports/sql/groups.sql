SELECT exp_group, sum(exposures) AS exposures, sum(degraded) AS degraded, sum(likes) AS likes, sum(failed) AS failed,
  sum(fallbacks) AS fallbacks, sum(slow) AS slow, sum(unlogged) AS unlogged
FROM exposure_days
WHERE experiment = :name AND user_id <> ALL (:forced)
GROUP BY 1
