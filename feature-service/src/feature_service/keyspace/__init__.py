"""Redis: the connection, every key and who writes it, the scripts that change several at once."""
