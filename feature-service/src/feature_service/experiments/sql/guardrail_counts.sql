-- The answers of a window, and how many of them each guardrail is about. Of an interleaved experiment every answer
-- counts, since each is made by both rankers.
SELECT count(*) AS answers,
  count(*) FILTER (WHERE degraded LIKE :ranker_failed) AS failed,
  count(*) FILTER (WHERE model_version = :fallback) AS fallbacks,
  count(*) FILTER (WHERE took_ms > CAST(:over_ms AS float8)) AS slow
FROM exposures
WHERE experiment = :name AND served_at > :since AND served_at <= :until
  AND (:interleaved OR exp_group = 'test')
