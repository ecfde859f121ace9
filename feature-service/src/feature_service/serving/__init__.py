"""The HTTP service: bytes in, bytes out on the hot path; Postgres only for histories and experiments."""
