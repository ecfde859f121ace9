"""Batches out of a stream: full ones, short ones when it pauses, and what reading it raises after what came before."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pipeline.tables.stream import prompt_batches


def test_batches_are_full_and_the_last_is_what_is_left() -> None:
    assert list(prompt_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(prompt_batches([], 3)) == []


def test_a_pause_hands_on_what_has_come() -> None:
    seen = threading.Event()

    def pausing() -> Iterator[int]:
        yield 1
        assert seen.wait(10)
        yield 2

    batches = prompt_batches(pausing(), 100, pause_seconds=0.01)
    assert next(batches) == [1]
    seen.set()
    assert next(batches) == [2]


def test_what_reading_raises_comes_after_what_came_before() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("line 2")

    batches = prompt_batches(broken(), 100)
    assert next(batches) == [1]
    with pytest.raises(ValueError, match="line 2"):
        next(batches)
