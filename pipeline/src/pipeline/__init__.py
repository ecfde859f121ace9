"""The `lenta` command: simulate, import, train, evaluate, publish, warm, score, check, up, down, status."""
