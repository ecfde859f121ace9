"""One module a command of `lenta`; each imports what is heavy only when it runs."""
