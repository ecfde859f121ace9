"""`python -m feature_service.warm`: builds the next generation in Redis from Postgres, catches up and takes its place."""
