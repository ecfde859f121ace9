"""The platform broken part by part under steady load: `python -m tests.chaos.accidents`, which says what it prints."""
