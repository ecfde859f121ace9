"""The platform's clock under traffic: fast, never back, never ahead of what others will see, slower when late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from contracts.clock import REAL, Clock
from hypothesis import given
from hypothesis import strategies as st
from pipeline.traffic.clock import (
    BETWEEN_SECONDS,
    CATCHING_UP,
    HEARD_SECONDS,
    LATE_SECONDS,
    PATIENCE_SECONDS,
    REST_SECONDS,
    Pace,
)

START = datetime(2026, 11, 9, 10, 0, tzinfo=UTC)


class Watch:
    """A real time of the test's own."""

    def __init__(self) -> None:
        self.real = START
        self.written: list[Clock] = []

    def passes(self, seconds: float) -> None:
        self.real += timedelta(seconds=seconds)

    def pace(self, clock: Clock = REAL) -> Pace:
        return Pace(clock, self.written.append, lambda: self.real)


def test_the_clock_runs_as_many_times_faster_once_everybody_has_heard() -> None:
    watch = Watch()
    pace = watch.pace()
    pace.run(1_000)
    stands = START + timedelta(seconds=HEARD_SECONDS)
    assert watch.written == [Clock(since=stands + timedelta(seconds=REST_SECONDS), then=stands, speed=1_000)]
    watch.passes(HEARD_SECONDS + REST_SECONDS)
    assert pace.now() == stands
    watch.passes(3.6)
    assert pace.now() == stands + timedelta(hours=1)


@given(st.floats(1, 5_000), st.floats(1, 5_000), st.floats(0, HEARD_SECONDS))
def test_whoever_hears_of_a_change_late_is_never_ahead_of_who_heard_early(
    before: float, after: float, heard: float
) -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=before))
    watch.passes(60)
    pace.run(after)
    old, new = Clock(since=START, then=START, speed=before), watch.written[-1]
    until_heard = watch.real + timedelta(seconds=heard)
    assert old.at(until_heard) <= new.at(until_heard)
    assert new.at(watch.real) == new.at(watch.real + timedelta(seconds=HEARD_SECONDS + REST_SECONDS))
    watch.passes(heard)
    assert pace.now() <= min(old.at(watch.real), new.at(watch.real))


def test_what_is_late_slows_the_clock_and_leaves_its_time_alone() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=2_000))
    watch.passes(60)
    before = pace.now()
    assert pace.is_late(before - timedelta(seconds=2_000 * (LATE_SECONDS + 0.1)))
    assert not pace.is_late(before - timedelta(seconds=2_000 * (LATE_SECONDS - 0.1)))
    assert pace.slow(pace.now())
    assert pace.speed == 1_400
    assert pace.now() >= before


def test_what_is_late_is_given_time_to_catch_up() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=2_000))
    watch.passes(60)
    assert pace.slow(pace.now() - timedelta(seconds=2_000 * 3))
    assert pace.rest() == HEARD_SECONDS + REST_SECONDS + CATCHING_UP * (3 + HEARD_SECONDS)


def test_a_change_is_given_time_before_the_next_one() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=2_000))
    watch.passes(60)
    assert pace.slow(pace.now())
    watch.passes(HEARD_SECONDS + REST_SECONDS + BETWEEN_SECONDS - 0.1)
    assert not pace.slow(pace.now())
    watch.passes(0.2)
    assert pace.slow(pace.now())


def test_what_went_well_for_long_enough_is_tried_faster_again_and_each_time_later() -> None:
    watch = Watch()
    pace = watch.pace()
    pace.run(2_000)
    watch.passes(HEARD_SECONDS + REST_SECONDS + 60)
    assert not pace.speed_up(), "it runs as fast as is wanted"
    for patience in (2 * PATIENCE_SECONDS, 4 * PATIENCE_SECONDS, 8 * PATIENCE_SECONDS, 8 * PATIENCE_SECONDS):
        assert pace.slow(pace.now())
        assert pace.speed == 1_400
        watch.passes(HEARD_SECONDS + REST_SECONDS + patience - 1)
        assert not pace.speed_up()
        watch.passes(1)
        assert pace.speed_up()
        assert pace.speed == 2_000
        watch.passes(HEARD_SECONDS + REST_SECONDS + BETWEEN_SECONDS)


def test_real_time_is_the_slowest_there_is() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=1))
    watch.passes(60)
    assert not pace.slow(pace.now())
    assert watch.written == []


def test_it_can_go_on_from_a_full_hour() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=2_000))
    watch.passes(60)
    before = pace.now()
    pace.run(1, from_hour=True)
    assert (pace.begins.minute, pace.begins.second, pace.begins.microsecond) == (0, 0, 0)
    assert before < pace.begins <= before + timedelta(hours=1, seconds=2_000 * HEARD_SECONDS)
    watch.passes(HEARD_SECONDS)
    assert pace.now() == pace.begins


def test_the_old_clock_holds_until_all_have_heard_of_the_new_one() -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=10))
    pace.run(100)
    assert pace.now() == START
    assert pace.until(START + timedelta(seconds=10)) == 1
    last = START + timedelta(seconds=10 * HEARD_SECONDS)
    assert pace.until(last) == HEARD_SECONDS
    assert pace.until(last + timedelta(seconds=100)) == HEARD_SECONDS + REST_SECONDS + 1
    watch.passes(HEARD_SECONDS + 0.5)
    assert pace.now() == last
    assert pace.until(last) == 0
    assert pace.until(last + timedelta(seconds=100)) == REST_SECONDS - 0.5 + 1


@given(st.floats(1, 5_000), st.floats(1, 5_000), st.floats(0, 20), st.floats(0, 1e5))
def test_the_clock_shows_a_moment_when_it_said(before: float, after: float, passed: float, ahead: float) -> None:
    watch = Watch()
    pace = watch.pace(Clock(since=START, then=START, speed=before))
    pace.run(after)
    watch.passes(passed)
    moment = pace.now() + timedelta(seconds=ahead)
    wait = pace.until(moment)
    assert wait >= 0
    watch.passes(wait)
    assert abs((pace.now() - moment).total_seconds()) <= 1e-5 * max(before, after)
