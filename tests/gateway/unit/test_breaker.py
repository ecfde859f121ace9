"""A breaker rests after failures in a row, lets one caller try, and closes when that one is answered."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.breaker import Breaker


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(failures=3, rest=1.0, clock=clock)
    for _ in range(3):
        breaker.failed()
    return breaker


def test_an_answer_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(failures=3, clock=Clock())
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()
    assert not breaker.is_open


def test_failures_in_a_row_open_it() -> None:
    breaker = opened(Clock())
    assert breaker.is_open
    assert not breaker.allows()


def test_after_the_rest_one_caller_tries_and_the_others_wait() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 1.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_trial_that_fails_starts_another_rest() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 1.0
    assert breaker.allows()
    breaker.failed()
    clock.now = 1.9
    assert not breaker.allows()
    clock.now = 2.0
    assert breaker.allows()


def test_a_trial_that_is_answered_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 1.0
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_timeouts_of_a_service_that_goes_on_answering_others_open_nothing() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, clock=clock)
    for _ in range(1_000):
        breaker.timed_out()
        breaker.timed_out()
        clock.now += 0.9
        breaker.succeeded()
    assert not breaker.is_open


def test_a_moment_in_which_everything_times_out_opens_nothing() -> None:
    """As when our own process was held up: the calls under way end together, whatever the service does."""
    breaker = Breaker(failures=3, clock=Clock())
    for _ in range(100):
        breaker.timed_out()
    assert breaker.allows()


def test_a_service_that_answers_nobody_for_a_while_is_left_alone_until_it_answers_again() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, rest=1.0, clock=clock)
    for _ in range(20):
        breaker.timed_out()
        clock.now += 0.12
    assert breaker.is_open
    assert not breaker.allows()
    clock.now += 1.0
    assert breaker.allows()
    breaker.timed_out()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
