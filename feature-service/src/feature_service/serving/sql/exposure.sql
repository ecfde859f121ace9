SELECT key, user_id, experiment, mode, exp_group AS "group", ranker, model, model_version, posts, scores, teams,
  propensities, degraded, asked_for, served_at, took_ms, weight_period, rules, coalesce(moves, '[]') AS moves,
  ARRAY(SELECT post_id FROM exposure_likes l WHERE l.key = e.key ORDER BY at, post_id) AS likes
FROM exposures e
WHERE key = :key
