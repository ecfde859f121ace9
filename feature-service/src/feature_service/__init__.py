"""The only one that knows Redis: feature rows, catalogue, event log, warm, ingest."""
