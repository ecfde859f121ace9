"""One module per command of `lenta`; each imports heavy modules only when it runs."""
