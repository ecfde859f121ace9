-- Runs since one of them that differ from the run before in a verdict or in a guardrail's state. groups: the verdict on
-- each, where several are compared with control.
WITH new AS (
  SELECT id, (SELECT max(b.id) FROM analysis_runs b WHERE b.experiment = r.experiment AND b.id < r.id) AS previous
  FROM analysis_runs r
  WHERE id > :run
), said AS (
  SELECT r.id, r.experiment, r.at, r.report -> 'verdict' AS verdict, guarded.guardrails, compared.groups
  FROM analysis_runs r, LATERAL (
    SELECT coalesce(jsonb_object_agg(g ->> 'metric', g ->> 'state'), '{}') AS guardrails
    FROM jsonb_array_elements(r.report -> 'guardrails') g) guarded, LATERAL (
    SELECT CASE WHEN count(*) > 1 THEN jsonb_object_agg(name, kind) ELSE '{}' END AS groups
    FROM (
      SELECT coalesce(r.report ->> 'compared', 'test') AS name, r.report -> 'verdict' ->> 'kind' AS kind
      UNION ALL
      SELECT o ->> 'group', o -> 'verdict' ->> 'kind' FROM jsonb_array_elements(coalesce(r.report -> 'others', '[]')) o
    ) each) compared
  WHERE r.id IN (SELECT id FROM new UNION SELECT previous FROM new)
)
SELECT told.id, told.experiment, told.at, told.verdict, told.guardrails, told.groups, b.verdict ->> 'kind' AS before
FROM new JOIN said told USING (id) LEFT JOIN said b ON b.id = new.previous
WHERE b.id IS NULL OR (told.verdict ->> 'kind', told.guardrails, told.groups)
  IS DISTINCT FROM (b.verdict ->> 'kind', b.guardrails, b.groups)
ORDER BY told.id
