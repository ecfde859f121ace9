"""The platform on one machine without containers: servers, services, and what `make up` does."""
