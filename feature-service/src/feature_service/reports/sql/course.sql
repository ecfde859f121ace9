-- What each day added, of one part of the users. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), cumulated AS (
  SELECT user_id, day, exposures AS n, hits AS h, likes AS l,
    sum(exposures) OVER w AS cn, sum(hits) OVER w AS ch, sum(likes) OVER w AS cl
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods) AND user_id % :parts = :part
  WINDOW w AS (PARTITION BY user_id ORDER BY day ROWS UNBOUNDED PRECEDING)
)
SELECT stratum, exp_group, cumulated.day, 0 AS users, sum(n) AS n, sum(h) AS h, sum(l) AS l,
  sum(n * (2 * cn - n)) AS nn, sum(h * (2 * ch - h)) AS hh, sum(l * (2 * cl - l)) AS ll,
  sum(n * ch + h * cn - n * h) AS nh, sum(n * cl + l * cn - n * l) AS nl
FROM cumulated JOIN people USING (user_id)
GROUP BY 1, 2, 3
