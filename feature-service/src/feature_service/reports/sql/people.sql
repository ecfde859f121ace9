-- Who is compared: users by the first of the compared periods that they were assigned in; a, b: their views and likes
-- before, bounded. forced: without those whom the plan forces into a group. stays: without those whom later weights
-- move.
SELECT * FROM (
  SELECT DISTINCT ON (user_id) user_id, weight_period AS stratum, exp_group, at::date AS day,
    least(coalesce(views_before, 0), CAST(:bound_a AS float8)) AS a,
    least(coalesce(likes_before, 0), CAST(:bound_b AS float8)) AS b
  FROM assignments
  WHERE experiment = :name AND weight_period = ANY (:periods) /*forced*/
  ORDER BY user_id, weight_period
) firsts /*stays*/
