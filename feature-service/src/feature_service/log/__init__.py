"""The event log: its entries, and the dead letters: entries that could not be counted."""
