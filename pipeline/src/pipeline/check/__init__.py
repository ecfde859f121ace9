"""The platform's own acceptance, against the running platform: quality, latency, memory, each beside its bar."""
