"""What every service stands on: settings, logs, metrics, health, errors, deadlines."""
