"""What each model would show one user, and why."""
