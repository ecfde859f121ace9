"""Simulated users come as the world's own did: in sessions of its length, at its hours, in the days that are played."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pipeline.traffic.schedule import POSTS, schedule
from pipeline.world.effects import HOURS
from pipeline.world.spec import spec_of

BEGIN = datetime(2026, 11, 9, 15, 20, tzinfo=UTC)
SPEC = spec_of("demo")


@pytest.mark.parametrize("days", [0.05, 1, 14])
def test_sessions_lie_in_the_days_that_are_played_and_in_order(days: float) -> None:
    coming = schedule(range(200, 400), BEGIN, days, 20, SPEC, np.random.default_rng(1))
    for sessions in coming.values():
        times = [session.at for session in sessions]
        assert times == sorted(times)
        assert times[0] >= BEGIN
        assert times[-1] < BEGIN + timedelta(days=days)


def test_users_ask_as_often_as_said_and_each_at_least_once() -> None:
    coming = schedule(range(200, 2_200), BEGIN, 14, 20, SPEC, np.random.default_rng(1))
    asked = [sum(session.requests for session in sessions) for sessions in coming.values()]
    assert np.mean(asked) == pytest.approx(20, abs=0.4)
    once = schedule(range(200, 2_200), BEGIN, 14, 1, SPEC, np.random.default_rng(1))
    assert min(sum(session.requests for session in sessions) for sessions in once.values()) == 1


def test_sessions_are_as_long_as_the_world_s_and_at_its_hours() -> None:
    coming = schedule(range(200, 1_200), BEGIN, 14, 60, SPEC, np.random.default_rng(1))
    sessions = [session for of_user in coming.values() for session in of_user]
    views = np.array([session.requests * POSTS for of_user in coming.values() for session in list(of_user)[:5]])
    assert views.mean() == pytest.approx(SPEC.session_views_mean, abs=1.0)
    hours = np.bincount([session.at.hour for session in sessions], minlength=24)
    assert hours[: HOURS[0]].sum() == 0
    assert hours[HOURS].min() > 0.8 * hours[HOURS].mean()


def test_the_same_seed_is_the_same_traffic() -> None:
    first, second = (schedule(range(200, 220), BEGIN, 3, 20, SPEC, np.random.default_rng(5)) for _ in range(2))
    assert first == second
