-- How many of the last day's answers took how long, by group: bin i holds what took less than bins[i + 1].
SELECT CASE exp_group WHEN 'control' THEN 'control' ELSE 'test' END AS exp_group,
  width_bucket(took_ms::float8, CAST(:bins AS float8[])) AS bin, count(*) AS answers
FROM exposures
WHERE experiment = :name AND weight_period = ANY (:periods) AND served_at > CAST(:until AS timestamp) - interval '1 day'
  AND exp_group IN ('control', :compared) AND user_id <> ALL (:forced)
GROUP BY 1, 2
