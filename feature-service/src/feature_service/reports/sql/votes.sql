-- A user's vote is for the ranker whose posts they liked more of.
WITH credited AS (
  SELECT user_id, substr(teams, array_position(posts, post_id), 1) AS team
  FROM exposures JOIN exposure_likes USING (key)
  WHERE experiment = :name AND teams IS NOT NULL AND user_id <> ALL (:forced)
), votes AS (
  SELECT user_id, count(*) FILTER (WHERE team = 't') AS test, count(*) FILTER (WHERE team = 'c') AS control
  FROM credited
  GROUP BY user_id
)
SELECT count(*) FILTER (WHERE test > control) AS test, count(*) FILTER (WHERE control > test) AS control,
  count(*) FILTER (WHERE control = test) AS ties,
  (SELECT count(*) FROM exposures WHERE experiment = :name AND mode = 'interleave' AND teams IS NULL) AS excluded
FROM votes
