INSERT INTO post_text_df (id, text, topic)
VALUES (:id, :text, :topic)
ON CONFLICT (id) DO UPDATE SET text = excluded.text, topic = excluded.topic
