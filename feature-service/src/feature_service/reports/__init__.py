"""What an experiment's report says: sums by group and period, readings, runs, exports."""
