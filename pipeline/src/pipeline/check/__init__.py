"""The platform's acceptance test, against the running platform: quality, latency and memory, each beside its bar."""
