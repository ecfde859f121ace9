-- The sums of totals.sql by what was known of the users before, one kind after the other. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), counted AS (
  SELECT user_id, sum(exposures)::float8 AS n, sum(hits)::float8 AS h, sum(likes)::float8 AS l
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
  GROUP BY user_id
), total AS (
  SELECT user_id, n * w AS n, h * w AS h, l * w AS l, least(l, CAST(:bound_l AS float8)) AS r
  FROM counted, LATERAL (SELECT least(1.0, CAST(:bound_n AS float8) / n) AS w) weighed
), countries AS (
  SELECT country FROM people JOIN user_data USING (user_id)
  WHERE country IS NOT NULL
  GROUP BY country ORDER BY count(*) DESC, country LIMIT 5
), profiled AS (
  SELECT stratum, people.exp_group, coalesce(n, 0) AS n, coalesce(h, 0) AS h, coalesce(l, 0) AS l, coalesce(r, 0) AS r,
    CASE WHEN age < 18 THEN 'under 18' WHEN age < 25 THEN '18 to 24' WHEN age < 35 THEN '25 to 34'
      WHEN age < 45 THEN '35 to 44' WHEN age >= 45 THEN '45 and older' ELSE 'unknown' END AS age,
    CASE WHEN u.country IS NULL THEN 'unknown' WHEN c.country IS NULL THEN 'others' ELSE u.country END AS country,
    coalesce(os, 'unknown') AS os, CASE WHEN a = 0 THEN 'new' ELSE 'known before' END AS history
  FROM people LEFT JOIN total USING (user_id) LEFT JOIN user_data u USING (user_id)
    LEFT JOIN countries c ON c.country = u.country
)
SELECT stratum, exp_group,
  CASE WHEN grouping(age) = 0 THEN 'age' WHEN grouping(country) = 0 THEN 'country' WHEN grouping(os) = 0 THEN 'os'
    ELSE 'history' END AS dimension,
  CASE WHEN grouping(age) = 0 THEN age WHEN grouping(country) = 0 THEN country WHEN grouping(os) = 0 THEN os
    ELSE history END AS value,
  count(*) AS users, sum(n) AS n, sum(h) AS h, sum(l) AS l, sum(r) AS r, sum(n * n) AS nn, sum(h * h) AS hh,
  sum(l * l) AS ll, sum(r * r) AS rr, sum(n * h) AS nh, sum(n * l) AS nl
FROM profiled
GROUP BY GROUPING SETS (
  (stratum, exp_group, age), (stratum, exp_group, country), (stratum, exp_group, os), (stratum, exp_group, history))
