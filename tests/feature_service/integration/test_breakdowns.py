"""For whom, since when, how fast: segments, days and quantiles, from rows to the page, held to counts by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from console.experiment.view import view_of
from contracts.experiments import Experiment
from contracts.reports import Report, SegmentReading
from contracts.wire import Exposure
from experiments.effects import Effect
from experiments.ratios import RatioSums, effect
from experiments.sequential import interval
from feature_service.database.engine import connect
from feature_service.reports.analysis import analyse
from feature_service.reports.export import as_csv
from sqlalchemy import Engine, text

from tests.support.data.experiment_rows import START, start, visits, write

USERS = range(1_000, 2_200)
DAYS = 3
LATER = START + timedelta(days=DAYS)
AGES = {0: 16, 1: 22, 2: 30, 3: None}
TOPICS = {1: "sport", 2: "movie", 3: "movie", 4: "tech", 5: "war"}
RULES = {"min_users": 100, "min_days": 1, "days": DAYS, "winsorised": 1}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def played(engine: Engine) -> tuple[Experiment, list[Exposure], set[str], list[tuple[str, int]], Report]:
    """Test is better for those of 22 alone, and its answers are slower."""
    experiment = start(engine, "parts", {"rules": RULES, "guardrails": []})
    young, others = ([u for u in USERS if (u % 4 == 1) is kind] for kind in (True, False))
    rng = np.random.default_rng(2)
    some = visits(experiment, young, rng, days=DAYS, chance={"control": 0.03, "test": 0.2}, degraded=0.0)
    more = visits(experiment, others, rng, days=DAYS, chance={"control": 0.06, "test": 0.06}, degraded=0.0)
    apart = {each.key: f"y{each.key}" for each in some[0]}
    exposures = [each.model_copy(update={"key": apart[each.key]}) for each in some[0]] + more[0]
    likes = [(apart[key], post) for key, post in some[1]] + more[1]
    means = {"control": 20.0, "test": 40.0}
    exposures = [each.model_copy(update={"took_ms": float(rng.gamma(9, means[each.group] / 9))}) for each in exposures]
    with engine.begin() as connection:
        rows = [{"u": user, "a": AGES[user % 4], "o": "iOS" if user % 2 else "Android"} for user in USERS]
        connection.execute(text("INSERT INTO user_data (user_id, age, os) VALUES (:u, :a, :o)"), rows)
        posts = [{"p": post, "t": topic} for post, topic in TOPICS.items()]
        connection.execute(text("INSERT INTO post_text_df VALUES (:p, 'x', :t)"), posts)
    write(engine, exposures, likes)
    return experiment, exposures, {key for key, _ in likes}, likes, analyse(engine, "parts", LATER)


def segment(report: Report, dimension: str, value: str) -> SegmentReading:
    return next(each for each in report.segments if (each.dimension, each.value) == (dimension, value))


def test_segments_are_what_a_count_by_hand_gives_and_the_right_one_is_named(engine: Engine) -> None:
    experiment, exposures, hit, likes, report = played(engine)
    known = sum(each.p_value is not None for each in report.segments)

    def compared(users: set[int], y: dict[int, float]) -> tuple[Effect, float]:
        n = dict.fromkeys(users, 0)
        for each in exposures:
            if each.user_id in users:
                n[each.user_id] += 1
        sides = [
            RatioSums.of([y.get(u, 0.0) for u in mine], [float(n[u]) for u in mine])
            for group in ("control", "test")
            for mine in [[u for u in users if n[u] and experiment.assign(u, START).group == group]]
        ]
        return effect(*sides), sides[0].ratio

    hits: dict[int, float] = {}
    by_topic: dict[int, float] = {}
    owner = {each.key: each.user_id for each in exposures}
    for key in hit:
        hits[owner[key]] = hits.get(owner[key], 0.0) + 1
    for key, post in likes:
        if TOPICS[post] == "movie":
            by_topic[owner[key]] = by_topic.get(owner[key], 0.0) + 1
    wanted = {
        ("age", "18 to 24"): ({u for u in USERS if u % 4 == 1}, hits),
        ("age", "unknown"): ({u for u in USERS if u % 4 == 3}, hits),
        ("os", "Android"): ({u for u in USERS if u % 2 == 0}, hits),
        ("history", "new"): (set(USERS), hits),
        ("topic", "movie"): (set(USERS), by_topic),
    }
    for (dimension, value), (users, y) in wanted.items():
        reading, (by_hand, rate) = segment(report, dimension, value), compared(users, y)
        ever = interval(by_hand, experiment.plan.rules.users_by_the_end, 1 - 0.05 / known)
        assert reading.lift is not None
        assert reading.lift.estimate == pytest.approx(by_hand.estimate / rate), (dimension, value)
        assert reading.lift.low == pytest.approx(ever.low / rate), (dimension, value)
    assert segment(report, "age", "18 to 24").reading == "better"
    assert {each.value for each in report.segments if each.dimension == "age" and each.reading != "unclear"} == {
        "18 to 24"
    }
    assert segment(report, "topic", "movie").metric == "likes_per_exposure"


def test_the_effect_by_day_and_latency_by_quantile_are_told_everywhere(engine: Engine) -> None:
    _, _, _, _, report = played(engine)
    assert [day.day for day in report.novelty] == [0, 1, 2]
    assert all(day.lift is not None and day.lift.low < day.lift.estimate < day.lift.high for day in report.novelty)
    quantiles = {each.quantile: each for each in report.latency}
    assert quantiles.keys() == {0.5, 0.95, 0.99}
    middle = quantiles[0.5]
    assert middle.control is not None
    assert middle.test is not None
    assert middle.difference is not None
    assert middle.control.estimate == pytest.approx(19.3, abs=1)  # of gamma(9) with mean 20
    assert middle.test.estimate == pytest.approx(38.5, abs=2)
    assert middle.difference.low > 0
    page = view_of(report, report.at).breakdown
    assert page.segments is not None
    assert page.novelty is not None
    assert "p50" in [row.name for row in page.latency], "a quantile beyond what the answers say is left out"
    lines = as_csv(report).splitlines()
    for beginning in ("segment,age: 18 to 24,test", "novelty,day 0,test", "latency in ms,quantile 0.5,test - control"):
        assert any(line.startswith(beginning) for line in lines), beginning


def test_few_users_say_nothing_of_a_segment(engine: Engine) -> None:
    experiment = start(engine, "parts", {"rules": RULES, "guardrails": []})
    write(engine, *visits(experiment, range(1_000, 1_120), np.random.default_rng(1)))
    report = analyse(engine, "parts", LATER)
    assert report.segments
    assert {each.reading for each in report.segments} == {"cannot_tell"}
    assert report.latency == []
