-- people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
)
SELECT stratum, exp_group, day, count(*) AS users,
  sum(a) AS a, sum(b) AS b, sum(a * a) AS aa, sum(b * b) AS bb, sum(a * b) AS ab
FROM people
GROUP BY 1, 2, 3
