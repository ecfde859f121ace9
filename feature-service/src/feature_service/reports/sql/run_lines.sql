SELECT id, at, report -> 'verdict' ->> 'kind' AS verdict
FROM analysis_runs
WHERE experiment = :name
ORDER BY id DESC
