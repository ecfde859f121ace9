"""What users were shown last, by this process: for the rule by which no post of the last answers comes again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gateway.recent import ENTRY_BYTES, Recent
from gateway.row import packed_ids

END = 2**32 - 1
"""Stands behind each answer: no post has this id."""


class ShownPosts:
    """Bounded; only of users for whom such a rule holds, from their first answer under it."""

    def __init__(self, capacity: int) -> None:
        """capacity: bytes."""
        self._answers: Recent[int, bytes] = Recent(capacity, lambda packed: ENTRY_BYTES + len(packed))

    def keep(self, user_id: int, posts: Iterable[int], answers: int) -> None:
        """answers: as many of the last are kept."""
        old = self._latest(user_id, answers - 1)
        self._answers.put(user_id, packed_ids(*posts, END) + old)

    def forget(self, user_id: int) -> None:
        self._answers.drop(user_id)

    def latest(self, user_id: int, answers: int) -> bytes:
        """Post ids of so many of the user's last answers, uint32."""
        ids = np.frombuffer(self._latest(user_id, answers), "<u4")
        return bytes(ids[ids != END])

    def _latest(self, user_id: int, answers: int) -> bytes:
        ids = np.frombuffer(self._answers.get(user_id) or b"", "<u4")
        ends = np.flatnonzero(ids == END)[:answers]
        return bytes(ids[: ends[-1] + 1]) if len(ends) else b""
