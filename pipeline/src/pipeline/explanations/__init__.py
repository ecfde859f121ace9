"""`lenta explain`: what was served and why, recomputed from Postgres and the model that served it."""
