-- The run, or the newest where none is named.
SELECT id, report
FROM analysis_runs
WHERE experiment = :name AND (id = :run OR CAST(:run AS bigint) IS NULL)
ORDER BY id DESC
LIMIT 1
