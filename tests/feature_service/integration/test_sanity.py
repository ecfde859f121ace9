"""Each night an A/A of the platform's own traffic: sound statistics pass, and each night is stored once."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
from contracts.clock import Clock
from contracts.reports import SanityCheck
from experiments.ratios import RatioSums
from feature_service.keyspace.clock import set_clock
from feature_service.log.entries import StreamLog
from feature_service.reports.runs import Analyst
from feature_service.reports.sanity import BROKEN, FEWEST_CELLS, HALVINGS, checked

from tests.support.data.experiment_rows import START, start, visits, write
from tests.support.platforms.feature_platform import SHARDS, feature_platform

DAY = date(2026, 3, 4)


def test_a_night_is_checked_once_and_read_back(postgres_url: str, redis_url: str) -> None:
    with feature_platform(postgres_url, redis_url) as platform:
        experiment = start(platform.engine, "night")
        users = range(1_000, 1_700)
        write(platform.engine, *visits(experiment, users, np.random.default_rng(1)))
        analyst = Analyst(platform.engine, platform.client, StreamLog(platform.client), SHARDS)
        for evening in (3, 3, 4):
            now = START + timedelta(days=evening, minutes=1)
            set_clock(platform.client, Clock(since=datetime.now(UTC), then=now, speed=1.0))
            analyst.round()
        nights = [SanityCheck.model_validate(each) for each in json.loads(platform.http.get("/sanity").content)]
        fresh = Analyst(platform.engine, platform.client, StreamLog(platform.client), SHARDS)
        fresh.round()
        assert len(json.loads(platform.http.get("/sanity").content)) == 2, "a new process repeats no night"
    assert [night.at.day for night in nights] == [5, 4]
    for night in nights:
        assert 600 < night.users <= 700
        assert (night.p_values, sum(night.deciles)) == (HALVINGS, HALVINGS)
        assert night.p is not None
        assert night.p > BROKEN


def test_cells_that_are_no_users_are_found_out() -> None:
    """Requests taken for users, who like in runs: the variance is too small, and the p-values lean to 0."""
    rng = np.random.default_rng(3)
    rates = rng.beta(0.5, 2.0, 600)
    sound = [RatioSums.of([float(rng.binomial(20, rate))], [20.0]) for rate in rates]
    broken = [
        RatioSums(20, hits, 20.0, hits, 20.0, hits)  # as if each request were another user
        for hits in (float(rng.binomial(20, rate)) for rate in rates)
    ]
    fine, wrong = checked(sound, DAY), checked(broken, DAY)
    assert fine.p is not None
    assert fine.p > 0.01
    assert wrong.p is not None
    assert wrong.p < BROKEN
    assert wrong.deciles[0] > 2 * fine.deciles[0]


def test_too_few_say_why() -> None:
    few = checked([RatioSums.of([1.0], [2.0])] * (FEWEST_CELLS - 1), DAY)
    alike = checked([RatioSums.of([1.0], [2.0])] * FEWEST_CELLS, DAY)
    assert (few.p, few.why) == (None, f"{FEWEST_CELLS - 1} users are too few to halve in many ways")
    assert (alike.p, alike.p_values) == (None, 0)
    assert alike.why is not None
