"""Lenta beside its peers, in one run: `python -m tests.benchmarks.beside`, which says in its help what it prints."""
