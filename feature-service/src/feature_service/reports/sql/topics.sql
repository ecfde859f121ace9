-- Likes on posts of one topic, of all users: l, beside all their exposures, n. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), counted AS (
  SELECT user_id, sum(exposures)::float8 AS n
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
  GROUP BY user_id
), everybody AS MATERIALIZED (
  SELECT user_id, stratum, exp_group, n * w AS n, w
  FROM people JOIN counted USING (user_id),
    LATERAL (SELECT least(1.0, CAST(:bound_n AS float8) / n) AS w) weighed
), liked AS (
  SELECT e.user_id, p.topic, count(*) AS likes
  FROM exposures e JOIN exposure_likes l USING (key) JOIN post_text_df p ON p.id = l.post_id
  WHERE e.experiment = :name AND e.weight_period = ANY (:periods) AND e.likes > 0
  GROUP BY 1, 2
), by_topic AS (
  SELECT stratum, exp_group, topic, sum(likes * w) AS l, sum(likes * w * likes * w) AS ll, sum(n * likes * w) AS nl
  FROM liked JOIN everybody USING (user_id)
  GROUP BY 1, 2, 3
), sides AS (
  SELECT stratum, exp_group, count(*) AS users, sum(n) AS n, sum(n * n) AS nn FROM everybody GROUP BY 1, 2
)
SELECT stratum, exp_group, 'topic' AS dimension, topic AS value, users, n, nn, coalesce(l, 0) AS l, coalesce(ll, 0) AS ll,
  coalesce(nl, 0) AS nl
FROM sides CROSS JOIN (SELECT DISTINCT topic FROM by_topic) topics LEFT JOIN by_topic USING (stratum, exp_group, topic)
