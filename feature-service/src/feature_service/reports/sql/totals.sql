-- The sums over everything; kept_: without degraded exposures. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), total AS (
  SELECT user_id, sum(exposures) AS n, sum(hits) AS h, sum(likes) AS l, sum(exposures - degraded) AS kn,
    sum(hits - degraded_hits) AS kh, sum(likes - degraded_likes) AS kl
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
  GROUP BY user_id
)
SELECT stratum, exp_group, count(*) AS users,
  sum(n) AS n, sum(h) AS h, sum(l) AS l, sum(n * n) AS nn, sum(h * h) AS hh, sum(l * l) AS ll,
  sum(n * h) AS nh, sum(n * l) AS nl,
  sum(z) AS z, sum(z * z) AS zz, sum(n * z) AS nz, sum(h * z) AS hz, sum(l * z) AS lz,
  count(*) FILTER (WHERE z IS NULL) AS m, sum(n) FILTER (WHERE z IS NULL) AS nm,
  sum(h) FILTER (WHERE z IS NULL) AS hm, sum(l) FILTER (WHERE z IS NULL) AS lm,
  sum(kn) AS kept_n, sum(kh) AS kept_h, sum(kl) AS kept_l, sum(kn * kn) AS kept_nn, sum(kh * kh) AS kept_hh,
  sum(kl * kl) AS kept_ll, sum(kn * kh) AS kept_nh, sum(kn * kl) AS kept_nl
FROM people LEFT JOIN total USING (user_id)
GROUP BY 1, 2
