"""A bucket of tokens a caller: what it gives at once, what in the long run, and whom it forgets."""

from __future__ import annotations

from gateway.rates import TokenBuckets

from gateway import rates


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_gets_a_burst_at_once_and_then_its_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(burst=10, per_second=5, clock=clock)
    assert [buckets.take("a") for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now += 1
    assert [buckets.take("a") for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 3_600
    assert sum(buckets.take("a") for _ in range(50)) == 10


def test_in_the_long_run_nobody_gets_more_than_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(burst=10, per_second=5, clock=clock)
    got = 0
    for _ in range(10_000):
        got += buckets.take("a")
        clock.now += 0.01
    assert 5 * 100 <= got <= 5 * 100 + 10


def test_one_caller_takes_nothing_from_another() -> None:
    buckets = TokenBuckets(burst=3, per_second=1, clock=Clock())
    assert not all(buckets.take("greedy") for _ in range(9))
    assert all(buckets.take("modest") for _ in range(3))


def test_so_many_callers_are_remembered_and_no_more() -> None:
    buckets = TokenBuckets(burst=1, per_second=0.001, clock=Clock())
    for number in range(rates.CALLERS * 2):
        assert buckets.take(str(number))
    assert len(buckets._levels) == rates.CALLERS
    assert not buckets.take(str(rates.CALLERS * 2 - 1))
