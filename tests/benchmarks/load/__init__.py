"""Lenta above its capacity: `python -m tests.benchmarks.load`, which says in its help what it prints."""
