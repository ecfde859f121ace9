-- The verdict of each experiment's newest analysis run.
SELECT DISTINCT ON (experiment) experiment, report -> 'verdict' ->> 'kind' AS verdict
FROM analysis_runs
ORDER BY experiment, id DESC
