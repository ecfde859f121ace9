-- Sums over the users who came on a day, by how many days it was after their first. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), came AS ( -- a day on which the weights changed is two
  SELECT user_id, day, exposures::float8 AS n, hits::float8 AS h, likes::float8 AS l
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
), weighed AS (
  SELECT stratum, exp_group, came.day - people.day AS since, n * w AS n, h * w AS h, l * w AS l,
    least(l, CAST(:bound_l AS float8)) AS r
  FROM came JOIN people USING (user_id), LATERAL (SELECT least(1.0, CAST(:bound_n AS float8) / n) AS w) bounded
)
SELECT stratum, exp_group, since, count(*) AS users, sum(n) AS n, sum(h) AS h, sum(l) AS l, sum(r) AS r,
  sum(n * n) AS nn, sum(h * h) AS hh, sum(l * l) AS ll, sum(r * r) AS rr, sum(n * h) AS nh, sum(n * l) AS nl
FROM weighed
WHERE since BETWEEN 0 AND 27
GROUP BY 1, 2, 3
