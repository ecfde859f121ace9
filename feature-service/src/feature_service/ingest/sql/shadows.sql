INSERT INTO shadows (key, user_id, experiment, ranker, model, model_version, posts, took_ms, failed)
SELECT *
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(
  key text, user_id int, experiment text, ranker text, model text, model_version text, posts int[], took_ms real,
  failed text)
ON CONFLICT DO NOTHING
