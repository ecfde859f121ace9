-- Users by the period of their very first assignment.
SELECT weight_period, exp_group, count(*) AS users
FROM (
  SELECT DISTINCT ON (user_id) weight_period, exp_group
  FROM assignments
  WHERE experiment = :name AND user_id <> ALL (:forced)
  ORDER BY user_id, weight_period
) firsts
GROUP BY 1, 2
