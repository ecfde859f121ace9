"""Metrics as data: what Postgres sums is what a plain count over the same feed gives, user by user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest
from contracts.experiments import Experiment
from contracts.metrics import BUILT_IN, Filter, Measure, MetricDefinition
from contracts.reports import MetricReading, Report
from contracts.wire import Exposure
from experiments.ratios import RatioSums, effect
from feature_service.database.engine import connect
from feature_service.reports.analysis import analyse
from sqlalchemy import Engine, text

from tests.support.data.experiment_rows import START, start, visits, write

USERS = range(1_000, 1_200)
DAYS = 12
END = START + timedelta(days=DAYS)
TOPICS = ("sport", "movie", "tech", "music", "war")
"""Of the posts 1 to 5."""
OWN = [
    MetricDefinition(name="hides_per_user", numerator=Measure(count="feedback", action="hide"), better="lower"),
    MetricDefinition(
        name="sport_likes_per_view",
        numerator=Measure(count="feedback", action="like", topic="sport"),
        denominator=Measure(count="feedback", action="view"),
        within_days=3,
    ),
    MetricDefinition(
        name="undegraded_hit_rate",
        numerator=Measure(count="hits", undegraded=True),
        denominator=Measure(count="exposures", undegraded=True),
        only=Filter(country="Russia", new=True),
        winsorised=1,
    ),
    MetricDefinition(
        name="movie_likes_per_exposure",
        numerator=Measure(count="likes", topic="movie"),
        denominator=Measure(count="exposures"),
        only=Filter(os="iOS"),
        winsorised=0.95,
    ),
    MetricDefinition(name="early_hit_rate", numerator=Measure(count="hits"), denominator=Measure(count="exposures"),
                     within_days=2),
    MetricDefinition(name="hit_rate_again", numerator=Measure(count="hits"), denominator=Measure(count="exposures")),
    MetricDefinition(name="likes_per_user_again", numerator=Measure(count="likes")),
]  # fmt: skip


@dataclass
class Feed:
    """Everything that happened, to be counted by hand."""

    experiment: Experiment
    exposures: dict[int, list[Exposure]]
    """By user."""
    likes: dict[str, list[str]]
    """Topics of the liked posts, by the exposure's key."""
    events: dict[int, list[tuple[datetime, int, str]]]
    """By user: when, the post, the action."""
    profiles: dict[int, tuple[str, str]]


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def played(engine: Engine, seed: int, winsorised: float = 0.99) -> tuple[Feed, Report]:
    rng = np.random.default_rng(seed)
    watched = [name for name in BUILT_IN if name != "hit_rate"] + [each.name for each in OWN]
    plan = {
        "metrics": [each.model_dump(mode="json") for each in OWN],
        "watched": watched,
        "rules": {"winsorised": winsorised, "min_users": 20, "days": DAYS},
        "guardrails": [],
    }
    experiment = start(engine, "many", plan)
    exposures, likes = visits(experiment, USERS, rng, days=DAYS)
    once = {each.key for each in exposures if each.user_id % 3 == 0 and each.served_at > START + timedelta(days=2)}
    exposures = [each for each in exposures if each.key not in once]
    likes = [(key, post) for key, post in likes if key not in once]
    exposures = [each.model_copy(update={"took_ms": float(rng.integers(4, 300))}) for each in exposures]
    profiles = {user: (str(rng.choice(["Russia", "Finland"])), str(rng.choice(["iOS", "Android"]))) for user in USERS}
    span = int(timedelta(days=DAYS + 3).total_seconds())
    events = [
        (START + timedelta(seconds=int(rng.integers(-3 * 86_400, span))), int(rng.choice(USERS)), int(rng.integers(1, 6)), action)
        for action, many in (("view", 2_000), ("like", 600), ("hide", 200))
        for _ in range(many)
    ]  # fmt: skip
    with engine.begin() as connection:
        for post, topic in enumerate(TOPICS, 1):
            connection.execute(text("INSERT INTO post_text_df VALUES (:p, 'x', :t)"), {"p": post, "t": topic})
        rows = [{"u": user, "c": country, "o": os} for user, (country, os) in profiles.items()]
        connection.execute(text("INSERT INTO user_data (user_id, country, os) VALUES (:u, :c, :o)"), rows)
        rows = [{"t": at.replace(tzinfo=None), "u": user, "p": post, "a": action} for at, user, post, action in events]
        connection.execute(text("INSERT INTO feed_data VALUES (:t, :u, :p, :a, NULL)"), rows)
    write(engine, exposures, likes)
    feed = Feed(experiment, defaultdict(list), defaultdict(list), defaultdict(list), profiles)
    for each in exposures:
        feed.exposures[each.user_id].append(each)
    for key, post in likes:
        feed.likes[key].append(TOPICS[post - 1])
    for at, user, post, action in events:
        feed.events[user].append((at, post, action))
    return feed, analyse(engine, "many", END)


def counted(feed: Feed, metric: MetricDefinition, user: int) -> tuple[float, float] | None:
    """y and x of a user, or None for whom the metric leaves out."""
    mine = feed.exposures[user]
    if not mine:
        return None
    first = min(each.served_at for each in mine)
    before = sum(action == "view" and at < first for at, _, action in feed.events[user])
    only, (country, os) = metric.only, feed.profiles[user]
    if only.country not in (None, country) or only.os not in (None, os) or only.new not in (None, before == 0):
        return None
    if metric.numerator.count == "returns" and first.date() + timedelta(days=metric.within_days or 0) > END.date():
        return None
    return tuple(_measured(feed, measure, metric.within_days, user, mine, first) for measure in (metric.numerator, metric.denominator))  # type: ignore[return-value]  # fmt: skip


def _measured(
    feed: Feed, measure: Measure, within: int | None, user: int, mine: Sequence[Exposure], first: datetime
) -> float:
    days = timedelta(days=within or 10_000)
    shown = [
        each
        for each in mine
        if each.served_at.date() < first.date() + days and not (measure.undegraded and each.degraded)
    ]
    liked = {each.key: feed.likes[each.key] for each in shown}
    match measure.count:
        case "users":
            return 1.0
        case "exposures":
            return len(shown)
        case "hits":
            return sum(bool(topics) for topics in liked.values())
        case "likes":
            return sum(measure.topic in (None, topic) for topics in liked.values() for topic in topics)
        case "milliseconds":
            return sum(each.took_ms for each in shown)
        case "returns":
            return float(any(first.date() < each.served_at.date() <= first.date() + days for each in mine))
        case "feedback":
            return sum(
                action == measure.action and first <= at < min(END, first + days)
                and measure.topic in (None, TOPICS[post - 1])
                for at, post, action in feed.events[user]
            )  # fmt: skip


def by_hand(feed: Feed, metric: MetricDefinition, winsorised: float) -> dict[str, RatioSums]:
    groups = {user: feed.experiment.assign(user, START).group for user in USERS}
    counts = {user: pair for user in USERS if (pair := counted(feed, metric, user)) is not None}
    per_user, kept = metric.denominator.count == "users", metric.winsorised or winsorised
    heavy = sorted((pair[0] if per_user else pair[1] for pair in counts.values()), reverse=True)
    most = heavy[max(1, int(np.ceil((1 - kept) * len(heavy) - 1e-9)))] if kept < 1 else float("inf")
    sums: dict[str, RatioSums] = {}
    for name in ("control", "test"):
        y, x = [], []
        for user, (numerator, denominator) in counts.items():
            if groups[user] == name:
                weight = min(1.0, most / denominator) if denominator else 1.0
                y.append(min(numerator, most) if per_user else numerator * weight)
                x.append(1.0 if per_user else denominator * weight)
        sums[name] = RatioSums.of(y, x)
    return sums


def test_every_metric_is_what_a_plain_count_of_the_feed_gives(engine: Engine) -> None:
    feed, report = played(engine, 1)
    read = {reading.metric: reading for reading in report.metrics}
    definitions = {**BUILT_IN, **{each.name: each for each in OWN}}
    assert read.keys() == definitions.keys()
    for name, definition in definitions.items():
        sums, reading = by_hand(feed, definition, 0.99), read[name]
        assert sums["test"].y > 0, f"{name} counts nothing here"
        assert reading.control == pytest.approx(sums["control"].ratio, rel=1e-6), name
        assert reading.test == pytest.approx(sums["test"].ratio, rel=1e-6), name
        wanted = effect(sums["control"], sums["test"]).interval()
        assert reading.difference is not None
        assert reading.difference.low == pytest.approx(wanted.low, rel=1e-6, abs=1e-9), name
        last = reading.course[-1]
        assert last.lift is not None
        assert reading.always_valid is not None
        assert last.lift.low == pytest.approx(reading.always_valid.low, rel=1e-6), (
            f"{name}: the course ends at the total"
        )


def _without_name(reading: MetricReading) -> dict[str, object]:
    every = reading.model_dump(exclude={"metric", "adjusted_p_value", "reading", "course"})
    return {field: value for field, value in every.items() if value is not None}


def test_an_old_metric_means_what_its_definition_says(engine: Engine) -> None:
    """Those that are summed together for speed and those that are made from definitions are the same numbers."""
    _, report = played(engine, 3, winsorised=0.97)
    read = {reading.metric: reading for reading in report.metrics}
    for old, new in (("hit_rate", "hit_rate_again"), ("likes_per_user", "likes_per_user_again")):
        mine, other = _without_name(read[old]), _without_name(read[new])
        for field, value in mine.items():
            assert other[field] == pytest.approx(value, rel=1e-9), f"{new}.{field}"


def test_a_fall_of_what_should_fall_is_better(engine: Engine) -> None:
    experiment = start(engine, "fast", {
        "rules": {"primary": "latency_ms", "min_users": 100, "min_days": 1, "min_likers": 10}, "guardrails": [],
        "watched": [],
    })  # fmt: skip
    exposures, likes = visits(experiment, range(1_000, 1_600), np.random.default_rng(4))
    rng = np.random.default_rng(5)
    means = {"control": 60.0, "test": 30.0}
    exposures = [each.model_copy(update={"took_ms": float(rng.gamma(2, means[each.group] / 2))}) for each in exposures]
    write(engine, exposures, likes)
    report = analyse(engine, "fast", END)
    assert report.metrics[0].lower_is_better
    assert report.metrics[0].reading == "better"
    assert report.verdict.kind == "ship"
    assert report.verdict.reasons[0].startswith("better: latency in ms: lift −")


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"watched": ["shares"]}, "watched names the metric shares; there are hit_rate,"),
        ({"rules": {"primary": "shares"}}, "rules.primary names the metric shares"),
        ({"metrics": [{"name": "hit_rate", "numerator": {"count": "hits"}}]}, "metrics defines hit_rate, which is"),
        ({"metrics": [{"name": "x", "numerator": {"count": "feedback"}}]}, "feedback needs an action"),
        ({"metrics": [{"name": "x", "numerator": {"count": "returns"}}]}, "need within_days"),
        ({"metrics": [{"name": "x", "numerator": {"count": "hits", "topic": "a"}}]}, "hits have no topic"),
        ({"metrics": [{"name": "x", "numerator": {"count": "users"}}]}, "counts users, which is 1 of each"),
    ],
)
def test_a_metric_that_means_nothing_is_refused_by_its_place(
    engine: Engine, plan: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        start(engine, "odd", plan)
