-- What users did in the platform's last days, summed over cells of users by a hash of their ids: a cell is whole users.
SELECT mod(hashtextextended(user_id::text, :salt) & 9223372036854775807, :cells) AS cell, count(*) AS users, sum(h) AS y, sum(n) AS x,
  sum(h * h) AS yy, sum(n * n) AS xx, sum(h * n) AS xy
FROM (
  SELECT user_id, sum(exposures)::float8 AS n, sum(hits)::float8 AS h
  FROM exposure_days
  WHERE day >= :since AND day < :until
  GROUP BY user_id
) counted
GROUP BY 1
