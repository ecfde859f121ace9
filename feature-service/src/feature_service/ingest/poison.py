"""Which errors an entry of the log is to blame for: it is put aside, and what stands behind it goes on.

All others are of a server that is down, which ingest waits for, or of ingest itself, which ends it.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

REFUSED = {"22", "23", "54"}
"""Classes of SQLSTATE: data that a column cannot hold, a constraint, a limit of Postgres (PostgreSQL, appendix A)."""

PoisonErrors = (DBAPIError, ValueError, ArithmeticError, TypeError, LookupError)
"""What `is_poison` decides about."""


def is_poison(error: Exception) -> bool:
    """Whether it comes from what the entry holds. psycopg2 refuses a NUL by a ValueError."""
    if isinstance(error, DBAPIError):
        return str(getattr(error.orig, "pgcode", None) or "")[:2] in REFUSED
    return isinstance(error, PoisonErrors)


def first_line(error: Exception) -> str:
    """What an error says, in one line: its type if it says nothing."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__
