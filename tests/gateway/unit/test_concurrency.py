"""The limit follows the delay: it grows while more at once take no longer, and falls where a queue stands."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from gateway.concurrency import (
    ALONE,
    BURST,
    FIRST,
    LEAST,
    PROBES,
    SLACK_SECONDS,
    STALE_SECONDS,
    TOLERANCE,
    UNKNOWN_SECONDS,
    AdaptiveLimit,
)
from gateway.limits import kind_of

MOST = 100
REQUEST_SECONDS = 0.004


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """Serves `servers` requests at once, each in 4 ms, one after the other; whoever is admitted beyond that waits."""

    def __init__(self, servers: int, most: int = MOST) -> None:
        self.clock = Clock()
        self.limit = AdaptiveLimit(most, self.clock)
        self.servers, self.done, self.refused = servers, 0, 0
        self.seconds, self.longest = REQUEST_SECONDS, 0.0
        self._admitted: list[tuple[float, bool]] = []

    def run(self, seconds: float, times: float) -> None:
        """times: of what the machine can serve, so much comes, evenly."""
        end, due = self.clock.now + seconds, 0.0
        while self.clock.now < end:
            due += times
            while due >= 1:
                due -= 1
                self._ask()
            self.clock.now += self.seconds / self.servers
            if self._admitted and self.clock.now - self._admitted[0][0] >= self.seconds:
                arrived, alone = self._admitted.pop(0)
                self.longest = max(self.longest, self.clock.now - arrived)
                self.limit.end(self.clock.now - arrived, alone=alone)
                self.done += 1

    def _ask(self) -> None:
        if self.limit.admits:
            self._admitted.append((self.clock.now, self.limit.begin()))
        else:
            self.refused += 1


def loaded(machine: Machine, times: float, seconds: float = 3.0) -> Machine:
    """After a quiet second, one in which the limit finds its place is left out of the count."""
    machine.run(1.0, times=0.25)
    machine.run(1.0, times)
    machine.done = 0
    machine.run(seconds, times)
    return machine


@pytest.mark.parametrize("servers", [2, 3, 8])
@pytest.mark.parametrize("times", [2, 5, 10])
def test_far_above_its_capacity_a_machine_serves_as_much_and_nobody_waits_long(servers: int, times: int) -> None:
    machine = loaded(Machine(servers), times)
    assert machine.done >= 0.95 * servers * 3.0 / REQUEST_SECONDS
    assert machine.limit.under_way <= 5 * servers + LEAST


@pytest.mark.parametrize("times", [2, 10])
def test_a_gateway_that_starts_under_load_finds_out_what_a_request_takes(times: int) -> None:
    """Whoever measures only what comes takes the queue for the machine, and lets in all that it may."""
    machine = Machine(2)
    machine.run(2 * UNKNOWN_SECONDS, times)
    machine.done = 0
    machine.run(3.0, times)
    assert machine.done >= 0.95 * 2 * 3.0 / REQUEST_SECONDS
    assert machine.limit.under_way <= 5 * 2 + LEAST


def test_a_machine_that_becomes_quicker_under_load_is_measured_anew() -> None:
    machine = loaded(Machine(2, most=MOST), 4)
    machine.seconds /= 4
    machine.run(2 * STALE_SECONDS, times=4)
    machine.longest = 0.0
    machine.run(1.0, times=4)
    assert machine.longest <= 2 * TOLERANCE * machine.seconds + SLACK_SECONDS


def test_a_burst_after_a_long_rest_is_no_reason_to_search() -> None:
    clock = Clock()
    limit = AdaptiveLimit(MOST, clock)
    limit.end(REQUEST_SECONDS, alone=limit.begin())
    clock.now = 10 * STALE_SECONDS
    assert filled(limit) >= FIRST


def test_failures_alone_end_a_search_too() -> None:
    clock = Clock()
    limit = AdaptiveLimit(MOST, clock)
    begun = filled(limit)
    clock.now = UNKNOWN_SECONDS
    assert not limit.admits
    for _ in range(begun):
        limit.end(None)
    assert filled(limit) == ALONE
    for _ in range(ALONE):
        limit.end(None)
    for _ in range(PROBES):
        limit.end(None, alone=limit.begin())
    assert filled(limit) > ALONE


def filled(limit: AdaptiveLimit) -> int:
    """How many begin before one is turned away."""
    begun = 0
    while limit.admits:
        limit.begin()
        begun += 1
    return begun


def test_a_machine_that_takes_more_is_given_more() -> None:
    assert loaded(Machine(60), 2).limit.limit > 2 * FIRST


def test_a_machine_that_slows_down_is_given_less_and_one_that_recovers_more() -> None:
    machine = loaded(Machine(8), 2)
    fast = machine.limit.limit
    machine.servers = 2
    machine.run(3.0, times=4)
    slow = machine.limit.limit
    machine.servers = 8
    machine.run(3.0, times=2)
    assert slow < 0.6 * fast
    assert machine.limit.limit > 0.7 * fast


def test_what_is_below_the_capacity_is_never_refused() -> None:
    machine = Machine(4)
    machine.run(5.0, times=0.9)
    assert (machine.refused, machine.limit.limit) == (0, FIRST)


def test_a_burst_is_let_in_and_a_standing_queue_is_not() -> None:
    clock = Clock()
    limit = AdaptiveLimit(MOST, clock)
    limit.end(REQUEST_SECONDS, alone=limit.begin())
    burst = filled(limit)
    assert burst == BURST * FIRST
    for _ in range(burst - FIRST):
        limit.end(None)
    clock.now = 1.0
    assert not limit.admits
    for _ in range(FIRST // 2):
        limit.end(None)
    assert limit.admits


def test_failures_say_nothing_of_the_delay() -> None:
    clock = Clock()
    limit = AdaptiveLimit(MOST, clock)
    for _ in range(1_000):
        limit.begin()
        clock.now += 1.0
        limit.end(None)
    assert (limit.limit, limit.under_way) == (FIRST, 0)


def test_the_limit_never_passes_what_is_set() -> None:
    assert loaded(Machine(60, most=20), 2).limit.limit <= 20
    assert AdaptiveLimit(3).limit == 3


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/post/recommendations/", "recommendations"),
        ("GET", "/test/post/recommendations/", "recommendations"),
        ("POST", "/events", "events"),
        ("PUT", "/user/1", "events"),
        ("PUT", "/post/1", "events"),
        ("GET", "/experiments/models/report", "administration"),
        ("PUT", "/experiments/models", "administration"),
        ("GET", "/exposures/abc", "administration"),
        ("GET", "/user/1/feed", "reads"),
        ("GET", "/control/post/explanations/", "reads"),
        ("GET", "/nowhere", "reads"),
    ],
)
def test_every_call_is_of_one_kind(method: str, path: str, kind: str) -> None:
    assert kind_of(method, path) == kind
