-- Who is compared: users by the first of the compared periods that they were assigned in.
-- forced: without those whom the plan forces into a group. stays: without those whom later weights move.
SELECT * FROM (
  SELECT DISTINCT ON (user_id) user_id, weight_period AS stratum, exp_group, at::date AS day,
    likes_before::float8 / nullif(views_before, 0) AS z
  FROM assignments
  WHERE experiment = :name AND weight_period = ANY (:periods) /*forced*/
  ORDER BY user_id, weight_period
) firsts /*stays*/
