-- Runs since one of them that differ from the run before in the verdict or in a guardrail's state.
WITH told AS (
  SELECT id, experiment, at, report -> 'verdict' AS verdict,
    (SELECT coalesce(jsonb_object_agg(g ->> 'metric', g ->> 'state'), '{}') FROM jsonb_array_elements(report -> 'guardrails') g)
      AS guardrails,
    (SELECT b.id FROM analysis_runs b WHERE b.experiment = r.experiment AND b.id < r.id ORDER BY b.id DESC LIMIT 1)
      AS before
  FROM analysis_runs r
  WHERE id > :run
)
SELECT told.id, told.experiment, told.at, told.verdict, told.guardrails, b.report -> 'verdict' ->> 'kind' AS before
FROM told LEFT JOIN analysis_runs b ON b.id = told.before
WHERE b.id IS NULL OR told.verdict ->> 'kind' <> b.report -> 'verdict' ->> 'kind' OR told.guardrails <>
  (SELECT coalesce(jsonb_object_agg(g ->> 'metric', g ->> 'state'), '{}') FROM jsonb_array_elements(b.report -> 'guardrails') g)
ORDER BY told.id
