"""The rule by which a soak is judged."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.soak.flatness import of_latency, of_memory

WARMING = [60.0, 75.0]


@pytest.mark.parametrize(
    ("last", "holds"), [([100.0, 100.0], True), ([104.9, 104.9], True), ([105.2, 105.2], False), ([90.0, 90.0], True)]
)
def test_memory_may_grow_by_a_twentieth_after_it_has_warmed_up(last: list[float], holds: bool) -> None:
    judged = of_memory([*WARMING, *[100.0] * 6, *last])
    assert (judged.before, judged.holds) == (100.0, holds)


def test_a_small_process_may_grow_by_half_a_megabyte() -> None:
    assert of_memory([5.0] * 8 + [5.45] * 2).holds
    assert not of_memory([5.0] * 8 + [5.55] * 2).holds


def test_a_latency_may_grow_by_what_it_scatters_anyway_and_no_more() -> None:
    scattered = np.tile([10.0, 12.0, 14.0, 16.0], 15)
    assert of_latency(scattered.tolist()).holds
    creeping = scattered + np.linspace(0.0, 12.0, 60)
    assert not of_latency(creeping.tolist()).holds


def test_a_run_of_a_few_windows_is_not_judged() -> None:
    with pytest.raises(ValueError, match="9 measurements: at least 10"):
        of_memory([1.0] * 9)
