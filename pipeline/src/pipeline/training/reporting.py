"""A ladder as a table for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from contracts.assignment import GROUPS
from rich.table import Table

from pipeline.training.evaluation import POPULAR, Ladder
from pipeline.training.measures import Estimate

SEED = 0
PAIRS = [(name, POPULAR) for name in GROUPS] + [("test", "control")]


def differences(found: Ladder) -> Iterator[tuple[str, str, Estimate]]:
    """The paired differences that matter, of those that the ladder has."""
    rng = np.random.default_rng(SEED)
    for name, base in PAIRS:
        if name in found.hits and base in found.hits:
            yield name, base, found.against(name, base, rng)


def as_table(found: Ladder, title: str) -> Table:
    rng = np.random.default_rng(SEED)
    users = len(next(iter(found.hits.values())))
    table = Table(title=f"{title}: HitRate@5, offline viewed, {users:,} users", title_justify="left")
    table.add_column("")
    for head in ("HitRate@5", "95 % interval", "less most popular", "captured lift"):
        table.add_column(head, justify="right")
    for name in found.hits:
        own, gain = found.estimate(name, rng), found.against(name, POPULAR, rng)
        captured = found.captured(name)
        table.add_row(
            name,
            f"{own.value:.3f}",
            f"{own.low:.3f} to {own.high:.3f}",
            "" if name == POPULAR else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
            "" if captured is None or name in {"random", POPULAR, "oracle"} else f"{captured:.2f}",
        )
    return table


def as_json(found: Ladder) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    return {
        "metric": "HitRate@5, offline viewed",
        "users": len(next(iter(found.hits.values()))),
        "rungs": {
            name: {**_plain(found.estimate(name, rng)), "captured_lift": found.captured(name)} for name in found.hits
        },
        "differences": [{"of": name, "less": base, **_plain(gain)} for name, base, gain in differences(found)],
    }


def _plain(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
