"""What a command says when it cannot go on: one line that names the file, the field or the variable, and what to do."""

from __future__ import annotations


class LentaError(Exception):
    """Ends a command with exit status 1 and its message as the reason."""
