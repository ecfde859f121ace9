"""What a key opens."""

from __future__ import annotations

from typing import Literal

Need = Literal["recommend", "events", "read", "administer"]

CALLER = frozenset({"recommend", "events", "read"})
"""Of a key that names no scopes. events: users and posts, too, are written."""
EVERYTHING = CALLER | {"administer"}
"""Of an admin key."""
