-- What users did in the platform's last days, in whichever experiment; the heaviest count no more than the bound.
WITH total AS (
  SELECT user_id, sum(exposures)::float8 AS n, sum(hits)::float8 AS h, sum(likes)::float8 AS l
  FROM exposure_days
  WHERE day >= :since AND day < :until
  GROUP BY user_id
), bounds AS (
  SELECT percentile_disc(CAST(:winsorised AS float8)) WITHIN GROUP (ORDER BY n) AS n,
    percentile_disc(CAST(:winsorised AS float8)) WITHIN GROUP (ORDER BY l) AS l
  FROM total
), bounded AS (
  SELECT t.n * w AS n, t.h * w AS h, t.l * w AS l, least(t.l, bounds.l) AS r
  FROM total t, bounds, LATERAL (SELECT least(1.0, bounds.n / t.n) AS w) weighed
)
SELECT count(*) AS users, sum(n) AS n, sum(h) AS h, sum(l) AS l, sum(r) AS r, sum(n * n) AS nn, sum(h * h) AS hh,
  sum(l * l) AS ll, sum(r * r) AS rr, sum(n * h) AS nh, sum(n * l) AS nl
FROM bounded
