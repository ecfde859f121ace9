-- What a list says of each experiment's newest analysis run.
SELECT DISTINCT ON (experiment) experiment, report -> 'verdict' ->> 'kind' AS verdict,
  (SELECT sum((reading ->> 'assigned')::bigint) FROM jsonb_array_elements(report -> 'groups') reading)::bigint AS users,
  report #> '{metrics,0,always_valid}' AS lift, coalesce(report ->> 'compared', 'test') AS compared
FROM analysis_runs
ORDER BY experiment, id DESC
