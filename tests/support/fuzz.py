"""How much is tried at random: a little in the suite, `LENTA_FUZZ` times as much by `make fuzz`."""

from __future__ import annotations

import os

FUZZ = int(os.environ.get("LENTA_FUZZ", "1"))
