-- Only rows that are new look their users' past up: by the index on (user_id, timestamp), month by month.
WITH new AS (
  SELECT DISTINCT ON (experiment, user_id, weight_period) experiment, user_id, weight_period, "group",
    at AT TIME ZONE 'UTC' AS at
  FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(
    experiment text, user_id int, weight_period int, "group" text, at timestamptz)
  WHERE NOT EXISTS (
    SELECT FROM assignments a
    WHERE a.experiment = t.experiment AND a.user_id = t.user_id AND a.weight_period = t.weight_period)
  ORDER BY experiment, user_id, weight_period, at
)
INSERT INTO assignments (experiment, user_id, weight_period, exp_group, at, views_before, likes_before)
SELECT experiment, user_id, weight_period, "group", at, past.views, past.likes
FROM new CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE action = 'view') AS views, count(*) FILTER (WHERE action = 'like') AS likes
  FROM feed_data f
  WHERE f.user_id = new.user_id AND f.timestamp < new.at
) past
ON CONFLICT DO NOTHING
