"""How good models are: the ladder of baselines, more measures, segments, curves, leaks, and a report of it all."""
