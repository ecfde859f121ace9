-- Experiments to analyse: those that run, and those that ended without a final run.
SELECT name, state
FROM experiments e
WHERE state = 'running' OR (state IN ('stopped', 'archived')
  AND NOT EXISTS (SELECT FROM analysis_runs r WHERE r.experiment = e.name AND r.final))
ORDER BY name
