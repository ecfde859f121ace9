"""What `lenta evaluate` says of models beside the ladder: more baselines and measures, segments, curves, leaks, and a page of all that."""
