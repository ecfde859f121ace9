"""The page of the running services: is serving healthy? From their /readyz and /metrics, kept in memory."""
