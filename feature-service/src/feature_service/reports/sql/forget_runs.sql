-- All but the newest runs, each day's last one, and the final one.
DELETE FROM analysis_runs
WHERE experiment = :name AND NOT final
  AND id NOT IN (SELECT id FROM analysis_runs WHERE experiment = :name ORDER BY id DESC LIMIT :kept)
  AND id NOT IN (SELECT max(id) FROM analysis_runs WHERE experiment = :name GROUP BY at::date)
