"""Half an hour at half of what it takes: `python -m tests.benchmarks.soak`, which says in its help what it prints."""
