"""Classic ML: profile, topic, TF-IDF and as-of aggregates into CatBoost."""
