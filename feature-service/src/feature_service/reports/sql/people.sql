-- Who is compared, with control or as `test`, whatever that group is called: users by the first of the compared periods
-- that they were assigned in; a, b: their views and likes before, bounded. forced: without those whom the plan forces into
-- a group. stays: without those whom later weights move.
SELECT user_id, stratum, CASE exp_group WHEN 'control' THEN 'control' ELSE 'test' END AS exp_group, day, at, a, b FROM (
  SELECT DISTINCT ON (user_id) user_id, weight_period AS stratum, exp_group, at::date AS day, at,
    least(coalesce(views_before, 0), CAST(:bound_a AS float8)) AS a,
    least(coalesce(likes_before, 0), CAST(:bound_b AS float8)) AS b
  FROM assignments
  WHERE experiment = :name AND weight_period = ANY (:periods) /*forced*/
  ORDER BY user_id, weight_period
) firsts
WHERE exp_group IN ('control', :compared) /*stays*/
