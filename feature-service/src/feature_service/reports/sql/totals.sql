-- The sums over everything; kept_: without degraded exposures. people: people.sql. A user beyond the bound of exposures
-- weighs as much as one at it, w: the own rates stay; likes of a user, r, end at their own bound.
WITH people AS MATERIALIZED (
  /*people*/
), counted AS (
  SELECT user_id, sum(exposures)::float8 AS n, sum(hits)::float8 AS h, sum(likes)::float8 AS l,
    sum(exposures - degraded)::float8 AS kn, sum(hits - degraded_hits)::float8 AS kh,
    sum(likes - degraded_likes)::float8 AS kl, sum(failed)::float8 AS f, sum(fallbacks)::float8 AS k,
    sum(slow)::float8 AS s
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods)
  GROUP BY user_id
), weighed AS (
  SELECT *, least(1.0, CAST(:bound_n AS float8) / n) AS w,
    least(1.0, CAST(:bound_n AS float8) / nullif(kn, 0)) AS kw
  FROM counted
), total AS (
  SELECT user_id, n * w AS n, h * w AS h, l * w AS l, least(l, CAST(:bound_l AS float8)) AS r,
    f * w AS f, k * w AS k, s * w AS s,
    kn * kw AS kn, kh * kw AS kh, kl * kw AS kl, least(kl, CAST(:bound_l AS float8)) AS kr
  FROM weighed
)
SELECT stratum, exp_group, count(*) AS users,
  sum(n) AS n, sum(h) AS h, sum(l) AS l, sum(r) AS r, sum(f) AS f, sum(k) AS k, sum(s) AS s,
  sum(n * n) AS nn, sum(h * h) AS hh, sum(l * l) AS ll, sum(r * r) AS rr, sum(n * h) AS nh, sum(n * l) AS nl,
  sum(f * f) AS ff, sum(k * k) AS kk, sum(s * s) AS ss, sum(n * f) AS nf, sum(n * k) AS nk, sum(n * s) AS ns,
  sum(a) AS a, sum(b) AS b, sum(a * a) AS aa, sum(b * b) AS bb, sum(a * b) AS ab,
  sum(n * a) AS na, sum(h * a) AS ha, sum(l * a) AS la, sum(r * a) AS ra,
  sum(n * b) AS nb, sum(h * b) AS hb, sum(l * b) AS lb, sum(r * b) AS rb,
  sum(kn) AS kept_n, sum(kh) AS kept_h, sum(kl) AS kept_l, sum(kr) AS kept_r, sum(kn * kn) AS kept_nn,
  sum(kh * kh) AS kept_hh, sum(kl * kl) AS kept_ll, sum(kr * kr) AS kept_rr, sum(kn * kh) AS kept_nh,
  sum(kn * kl) AS kept_nl
FROM people LEFT JOIN total USING (user_id)
GROUP BY 1, 2
