"""The public calls, by what they are about."""
