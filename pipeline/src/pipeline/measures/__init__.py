"""Measures of how good scores are: formulas and nothing else."""
