"""Progress of a part, told as progress of the whole."""

from __future__ import annotations

from pipeline.dataset.tables import OnProgress


def share_of(on_progress: OnProgress, low: int, high: int) -> OnProgress:
    """Between `low` and `high` of a hundred."""

    def told(done: int, total: int) -> None:
        on_progress(low + (high - low) * done // max(total, 1), 100)

    return told
