"""`python -m feature_service.ingest`: moves the event log into Postgres and into the generation in service."""
