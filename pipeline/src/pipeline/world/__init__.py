"""The simulated world: a platform like the original, with a known truth."""
