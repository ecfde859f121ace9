-- What each day added, of one part of the users, bounded as today's totals are. people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
), cumulated AS (
  SELECT user_id, day, exposures AS dn, hits AS dh, likes AS dl, (sum(exposures) OVER w)::float8 AS n,
    (sum(hits) OVER w)::float8 AS h, (sum(likes) OVER w)::float8 AS l
  FROM exposure_days
  WHERE experiment = :name AND weight_period = ANY (:periods) AND abs(user_id) % :parts = :part
  WINDOW w AS (PARTITION BY user_id ORDER BY day, weight_period ROWS UNBOUNDED PRECEDING)
), stepped AS ( -- p: up to the day before
  SELECT user_id, day, n * w AS n, h * w AS h, l * w AS l, least(l, CAST(:bound_l AS float8)) AS r,
    (n - dn) * pw AS pn, (h - dh) * pw AS ph, (l - dl) * pw AS pl, least(l - dl, CAST(:bound_l AS float8)) AS pr
  FROM cumulated, LATERAL (
    SELECT least(1.0, CAST(:bound_n AS float8) / n) AS w,
      least(1.0, CAST(:bound_n AS float8) / nullif(n - dn, 0)) AS pw) weighed
)
SELECT stratum, exp_group, stepped.day, 0 AS users,
  sum(n - pn) AS n, sum(h - ph) AS h, sum(l - pl) AS l, sum(r - pr) AS r,
  sum(n * n - pn * pn) AS nn, sum(h * h - ph * ph) AS hh, sum(l * l - pl * pl) AS ll, sum(r * r - pr * pr) AS rr,
  sum(n * h - pn * ph) AS nh, sum(n * l - pn * pl) AS nl,
  sum((n - pn) * a) AS na, sum((h - ph) * a) AS ha, sum((l - pl) * a) AS la, sum((r - pr) * a) AS ra,
  sum((n - pn) * b) AS nb, sum((h - ph) * b) AS hb, sum((l - pl) * b) AS lb, sum((r - pr) * b) AS rb
FROM stepped JOIN people USING (user_id)
GROUP BY 1, 2, 3
