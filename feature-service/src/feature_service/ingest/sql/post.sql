-- A post, and from when on nobody is shown it. Published anew, it is back.
WITH back AS (
  DELETE FROM posts_gone WHERE post_id = :id AND :expires IS NULL
), ends AS (
  INSERT INTO posts_gone (post_id, at)
  SELECT :id, :expires WHERE :expires IS NOT NULL
  ON CONFLICT (post_id) DO UPDATE SET at = excluded.at
)
INSERT INTO post_text_df (id, text, topic)
VALUES (:id, :text, :topic)
ON CONFLICT (id) DO UPDATE SET text = excluded.text, topic = excluded.topic
