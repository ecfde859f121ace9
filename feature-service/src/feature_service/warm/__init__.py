"""`python -m feature_service.warm`: builds the next generation in Redis from Postgres and puts it into service."""
