-- Beyond which value a user counts no more than the next one: of exposures (n), likes (l), views and likes before (a, b).
-- people: people.sql. Integers with few values: counting each is far cheaper than sorting users.
WITH people AS MATERIALIZED (
  /*people*/
), total AS (
  SELECT user_id, sum(exposures) AS n, sum(likes) AS l
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
  GROUP BY user_id
), seen AS MATERIALIZED (
  SELECT coalesce(n, 0) AS n, coalesce(l, 0) AS l, a, b FROM people LEFT JOIN total USING (user_id)
), counted AS (
  SELECT 'n' AS name, n::float8 AS value, count(*) AS users FROM seen GROUP BY n
  UNION ALL SELECT 'l', l, count(*) FROM seen GROUP BY l
  UNION ALL SELECT 'a', a, count(*) FROM seen GROUP BY a
  UNION ALL SELECT 'b', b, count(*) FROM seen GROUP BY b
), ranked AS (
  SELECT name, value, sum(users) OVER (PARTITION BY name ORDER BY value DESC) AS as_heavy FROM counted
)
SELECT name, max(value) AS bound
FROM ranked
WHERE as_heavy > (SELECT greatest(1, ceil((1 - CAST(:winsorised AS numeric)) * count(*))) FROM seen)
GROUP BY name
