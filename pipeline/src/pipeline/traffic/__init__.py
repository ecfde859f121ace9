"""Simulated users against the real gateway: they ask, view and like by the world's truth, on a faster clock."""
