-- people: people.sql.
WITH people AS MATERIALIZED (
  /*people*/
)
SELECT stratum, exp_group, day, count(*) AS users
FROM people
GROUP BY 1, 2, 3
