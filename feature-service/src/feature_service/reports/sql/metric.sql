-- What each day added to one metric's sums, made from its definition (metric_sums.py). people: people.sql.
-- /*chosen*/ /*numerator*/ /*denominator*/: whose counts enter, and the counts by user and day. per_user: the denominator
-- is each user once. Bounded as in totals.sql: a user beyond the bound of the denominator weighs as much as one at it; per
-- user, the numerator ends at its own.
WITH people AS MATERIALIZED (
  /*people*/
), chosen AS MATERIALIZED (
  /*chosen*/
), counted AS (
  SELECT user_id, day, sum(y)::float8 AS dy, sum(x)::float8 AS dx
  FROM (
    SELECT user_id, day, value AS y, 0 AS x FROM (/*numerator*/) numerator
    UNION ALL SELECT user_id, day, 0, value FROM (/*denominator*/) denominator
  ) both_sides
  GROUP BY 1, 2
), seen AS (
  SELECT coalesce(sum(CASE WHEN :per_user THEN dy ELSE dx END), 0) AS value
  FROM chosen LEFT JOIN counted USING (user_id)
  GROUP BY user_id
), bound AS (
  SELECT coalesce(max(value) FILTER (WHERE as_heavy > (
    SELECT greatest(1, ceil((1 - CAST(:winsorised AS numeric)) * count(*))) FROM seen)), 'infinity') AS value
  FROM (SELECT value, sum(count(*)) OVER (ORDER BY value DESC) AS as_heavy FROM seen GROUP BY value) ranked
), cumulated AS (
  SELECT user_id, day, dy, dx, sum(dy) OVER w AS y, sum(dx) OVER w AS x
  FROM counted
  WINDOW w AS (PARTITION BY user_id ORDER BY day ROWS UNBOUNDED PRECEDING)
), stepped AS ( -- p: up to the day before
  SELECT user_id, day,
    CASE WHEN :per_user THEN least(y, most) ELSE y * coalesce(least(1.0, most / nullif(x, 0)), 1.0) END AS y,
    CASE WHEN :per_user THEN least(y - dy, most)
      ELSE (y - dy) * coalesce(least(1.0, most / nullif(x - dx, 0)), 1.0) END AS py,
    least(x, most) AS x, least(x - dx, most) AS px
  FROM cumulated, LATERAL (SELECT CASE WHEN :winsorised < 1 THEN value ELSE 'infinity' END AS most FROM bound) limited
)
SELECT stratum, exp_group, stepped.day, 0 AS users, sum(y - py) AS y, sum(x - px) AS x,
  sum(y * y - py * py) AS yy, sum(x * x - px * px) AS xx,
  CASE WHEN :per_user THEN sum(y - py) ELSE sum(x * y - px * py) END AS xy,
  sum((y - py) * a) AS ya, sum((y - py) * b) AS yb, sum((x - px) * a) AS xa, sum((x - px) * b) AS xb,
  0 AS a, 0 AS b, 0 AS aa, 0 AS bb, 0 AS ab
FROM stepped JOIN chosen USING (user_id)
GROUP BY 1, 2, 3
UNION ALL
SELECT stratum, exp_group, day, count(*), 0, once * count(*), 0, once * count(*), 0, 0, 0, once * sum(a), once * sum(b),
  sum(a), sum(b), sum(a * a), sum(b * b), sum(a * b)
FROM chosen, LATERAL (SELECT CASE WHEN :per_user THEN 1 ELSE 0 END AS once) denominator
GROUP BY 1, 2, 3, once
