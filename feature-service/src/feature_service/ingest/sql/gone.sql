-- What the post said is erased. That it was there, and its topic, stay: users' counts rest on them.
WITH erased AS (
  UPDATE post_text_df SET text = '' WHERE id = :id RETURNING id
)
INSERT INTO posts_gone (post_id, at)
SELECT id, '1970-01-01 00:00:01' FROM erased
ON CONFLICT (post_id) DO UPDATE SET at = excluded.at
