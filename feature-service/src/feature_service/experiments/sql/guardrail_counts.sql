-- The answers of a window, by group, and how many of them each guardrail is about; seconds: of real time, in which it
-- had trouble. drafted: of an interleaved experiment, whose every answer both rankers make, the group that is compared.
WITH answers AS (
  SELECT coalesce(CAST(:drafted AS text), exp_group) AS exp_group, user_id, served_at,
    degraded LIKE ANY (:unreachable) AS unreachable, degraded LIKE :ranker_failed AS failed,
    model_version = :fallback AS fallback, took_ms > CAST(:over_ms AS float8) AS slow
  FROM exposures
  WHERE experiment = :name AND served_at > :since AND served_at <= :until
)
SELECT exp_group, count(*) AS answers, count(DISTINCT user_id) AS users,
  count(*) FILTER (WHERE unreachable) AS unreachable, count(*) FILTER (WHERE failed) AS failed,
  count(*) FILTER (WHERE fallback) AS fallbacks, count(*) FILTER (WHERE slow) AS slow,
  count(DISTINCT floor(extract(epoch FROM served_at) / CAST(:speed AS float8))) FILTER (WHERE failed OR fallback OR slow)
    AS seconds
FROM answers
GROUP BY 1
