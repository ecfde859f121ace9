"""A/B statistics: pure functions on sufficient statistics."""
