-- How a shadow ranker answered, and how much of what was shown it would have shown too. overlap, correlation: users and
-- the sums of a ratio over them, as RatioSums has them.
WITH asked AS MATERIALIZED (
  SELECT s.user_id, s.took_ms, s.failed, cardinality(e.posts) AS shown, agreed.shared, agreed.tau
  FROM shadows s LEFT JOIN exposures e USING (key) LEFT JOIN LATERAL (
    WITH common AS (
      SELECT ours.place AS a, theirs.place AS b
      FROM unnest(e.posts) WITH ORDINALITY ours(post, place)
      JOIN unnest(s.posts) WITH ORDINALITY theirs(post, place) USING (post)
    )
    SELECT (SELECT count(*) FROM common) AS shared,
      (SELECT avg(sign((x.a - y.a) * (x.b - y.b))::float8) FROM common x JOIN common y ON x.a < y.a) AS tau
  ) agreed ON s.failed IS NULL AND e.posts IS NOT NULL
  WHERE s.experiment = :name
), by_user AS (
  SELECT sum(shared) AS shared, sum(shown) FILTER (WHERE shared IS NOT NULL) AS shown, sum(tau) AS tau,
    count(tau) AS taus
  FROM asked
  GROUP BY user_id
)
SELECT count(*) AS asked, count(failed) AS failed,
  percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY took_ms) FILTER (WHERE failed IS NULL) AS quantiles,
  (SELECT ARRAY[count(*), sum(shared), sum(shown), sum(shared * shared), sum(shown * shown), sum(shared * shown)
    ]::float8[] FROM by_user WHERE shown > 0) AS overlap,
  (SELECT ARRAY[count(*), sum(tau), sum(taus), sum(tau * tau), sum(taus * taus), sum(tau * taus)
    ]::float8[] FROM by_user WHERE taus > 0) AS correlation
FROM asked
