-- A batch of exposures, and what they add to their users' days and to the models' counts. A repetition changes nothing.
WITH new AS (
  INSERT INTO exposures (served_at, asked_for, user_id, took_ms, weight_period, experiment, exp_group, ranker, mode,
    degraded, model, model_version, teams, key, posts, scores, propensities, rules, moves)
  SELECT served_at AT TIME ZONE 'UTC', asked_for AT TIME ZONE 'UTC', user_id, took_ms, weight_period, experiment,
    "group", ranker, mode, degraded, model, model_version, teams, key, posts, scores, propensities, rules,
    nullif(moves, '[]')
  FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(
    served_at timestamptz, asked_for timestamptz, user_id int, took_ms real, weight_period int, experiment text,
    "group" text, ranker text, mode text, degraded text, model text, model_version text, teams text, key text,
    posts int[], scores float8[], propensities float8[], rules text, moves jsonb)
  ON CONFLICT DO NOTHING
  RETURNING *
), models AS (
  INSERT INTO exposure_models AS m (experiment, exp_group, model, model_version, exposures)
  SELECT experiment, exp_group, model, model_version, count(*)
  FROM new
  GROUP BY 1, 2, 3, 4
  ORDER BY 1, 2, 3, 4
  ON CONFLICT (experiment, exp_group, model, model_version) DO UPDATE
  SET exposures = m.exposures + excluded.exposures
), limits AS (
  SELECT x.name AS experiment, (rule ->> 'over_ms')::real AS over_ms
  FROM experiments x,
    jsonb_array_elements(coalesce(x.definition -> 'plan' -> 'guardrails', CAST(:rules AS jsonb))) rule
  WHERE rule ->> 'metric' = 'slow_share'
)
INSERT INTO exposure_days AS d (user_id, day, exposures, hits, likes, degraded, degraded_hits, degraded_likes,
  failed, fallbacks, slow, unlogged, weight_period, exp_group, experiment)
SELECT user_id, served_at::date, count(*), 0, 0, count(degraded), 0, 0,
  count(*) FILTER (WHERE degraded LIKE :ranker_failed AND reached),
  count(*) FILTER (WHERE model_version = :fallback AND reached),
  count(*) FILTER (WHERE took_ms > over_ms), count(*) FILTER (WHERE degraded LIKE :unlogged), weight_period,
  min(exp_group), experiment
FROM new LEFT JOIN limits USING (experiment)
  CROSS JOIN LATERAL (SELECT degraded IS NULL OR degraded NOT LIKE ALL (:unreachable) AS reached) what
GROUP BY experiment, user_id, served_at::date, weight_period
ON CONFLICT (experiment, user_id, day, weight_period) DO UPDATE
SET exposures = d.exposures + excluded.exposures, degraded = d.degraded + excluded.degraded,
  failed = d.failed + excluded.failed, fallbacks = d.fallbacks + excluded.fallbacks, slow = d.slow + excluded.slow,
  unlogged = d.unlogged + excluded.unlogged
