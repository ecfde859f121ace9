"""The HTTP service: bytes in, bytes out on the hot path; Postgres for histories and experiments only."""
