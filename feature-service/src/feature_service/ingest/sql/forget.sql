-- Erases a user. What a report sums stays, as of somebody whose number nobody knows: an experiment must not lose those
-- who leave, who may leave because of it.
WITH nobody AS MATERIALIZED (
  SELECT nextval('nobodies')::int AS id
), profile AS (
  DELETE FROM user_data WHERE user_id = :user
), feed AS (
  DELETE FROM feed_data WHERE user_id = :user
), ledger AS (
  DELETE FROM event_ledger WHERE user_id = :user
), shown AS (
  DELETE FROM exposures WHERE user_id = :user RETURNING key, experiment
), liked AS (
  DELETE FROM exposure_likes USING shown WHERE exposure_likes.key = shown.key
), shadowed AS (
  DELETE FROM shadows WHERE user_id = :user
), every AS (
  SELECT name FROM experiments UNION SELECT experiment FROM shown
), assigned AS (
  UPDATE assignments SET user_id = nobody.id
  FROM nobody
  WHERE experiment IN (SELECT name FROM every) AND user_id = :user
)
UPDATE exposure_days SET user_id = nobody.id
FROM nobody
WHERE experiment IN (SELECT name FROM every) AND user_id = :user
