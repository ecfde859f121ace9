"""The event log: its entries, and the dead letters that cannot be counted."""
