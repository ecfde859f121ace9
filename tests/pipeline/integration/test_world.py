"""The simulated world has the platform's statistics, and its truth is out of reach of what trains and serves."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pipeline.errors import LentaError
from pipeline.world.effects import PLACE
from pipeline.world.people import make_people
from pipeline.world.posts import make_posts
from pipeline.world.simulation import WorldSummary, require_space, simulate
from pipeline.world.spec import WorldSpec, spec_of
from pipeline.world.truth import Truth

from tests.support.checkout import ROOT

END = date(2026, 11, 9)
MAY_READ_THE_TRUTH = {
    "pipeline/src/pipeline/check/quality.py",
    "pipeline/src/pipeline/evaluation/ceiling.py",
    "pipeline/src/pipeline/evaluation/oracle.py",
    "pipeline/src/pipeline/evaluation/served_truth.py",
    "pipeline/src/pipeline/traffic/preferences.py",
    "pipeline/src/pipeline/traffic/run.py",
    "pipeline/src/pipeline/world/simulation.py",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def summary(folder: Path) -> WorldSummary:
    return simulate(WorldSpec("tiny", 600, 300), 3, END, folder)


def test_the_same_seed_gives_the_same_world(tmp_path: Path, folder: Path, summary: WorldSummary) -> None:
    simulate(WorldSpec("tiny", 600, 300), 3, END, tmp_path)
    for name in ("user_data", "post_text_df", "feed_data"):
        assert pq.read_table(tmp_path / f"{name}.parquet").equals(pq.read_table(folder / f"{name}.parquet"))


def test_ids_begin_as_on_the_platform(folder: Path, summary: WorldSummary) -> None:
    assert pq.read_table(folder / "user_data.parquet")["user_id"].to_pylist()[0] == 200
    assert pq.read_table(folder / "post_text_df.parquet")["id"].to_pylist()[0] == 1


def test_the_feed_has_the_rates_and_times_of_the_platform(folder: Path, summary: WorldSummary) -> None:
    feed = pq.read_table(folder / "feed_data.parquet").to_pydict()
    views = np.array([action == "view" for action in feed["action"]])
    target = np.array([-1 if value is None else value for value in feed["target"]])
    assert 0.10 < target[views].mean() < 0.12
    assert (target[~views] == -1).all()
    assert 380 < views.sum() / 600 < 460
    times = np.array([moment.replace(tzinfo=UTC).timestamp() for moment in feed["timestamp"]])
    end = datetime(2026, 11, 9, tzinfo=UTC).timestamp()
    assert times.max() < end
    assert times.min() > end - 91 * 86_400
    assert target[views].sum() == (~views).sum() == summary.likes


def test_early_places_in_a_session_are_liked_more() -> None:
    assert PLACE[0] > PLACE[10] > PLACE[14] > PLACE[20]


def test_people_have_the_platform_s_marginals() -> None:
    people = make_people(20_000, np.random.default_rng(1))
    assert np.percentile(people.age, [25, 50, 75]) == pytest.approx([19, 24, 33], abs=2)
    assert people.age.min() >= 14
    assert (people.country == "Russia").mean() == pytest.approx(0.876, abs=0.01)
    assert (people.city == "Moscow").mean() == pytest.approx(0.134, abs=0.01)
    assert (people.os == "Android").mean() == pytest.approx(0.65, abs=0.02)
    assert (people.source == "ads").mean() == pytest.approx(0.62, abs=0.02)
    assert people.gender.mean() == pytest.approx(0.55, abs=0.02)


def test_posts_have_the_platform_s_topics_and_readable_texts() -> None:
    posts = make_posts(spec_of("demo"), np.random.default_rng(1))
    share = {topic: posts.topic_names.count(topic) / len(posts) for topic in set(posts.topic_names)}
    assert share["movie"] == pytest.approx(3000 / 7023, abs=0.05)
    assert share["covid"] == pytest.approx(1799 / 7023, abs=0.05)
    assert all(text.endswith((".", "?", "!")) and "{" not in text and len(text.split()) >= 30 for text in posts.text)
    assert posts.vector.var(axis=0).sum() == pytest.approx(1.0, abs=0.05)


def test_the_truth_is_the_probability_by_which_likes_were_drawn(folder: Path, summary: WorldSummary) -> None:
    truth = Truth.load(folder)
    feed = pq.read_table(folder / "feed_data.parquet").to_pandas()
    views = feed[feed.action == "view"].sample(4_000, random_state=1)
    probability = np.concatenate(
        [
            truth.like_probability(np.array([user]), np.array([post]), at.to_pydatetime().replace(tzinfo=UTC))
            for user, post, at in zip(views.user_id, views.post_id, views.timestamp, strict=True)
        ]
    )
    assert probability.mean() == pytest.approx(views.target.astype(float).mean(), abs=0.015)
    high = probability > np.median(probability)
    assert views.target.astype(float)[high].mean() > 1.5 * views.target.astype(float)[~high].mean()


def test_nothing_that_trains_or_serves_reads_the_truth() -> None:
    readers = set()
    for path in ROOT.glob("**/src/**/*.py"):
        if ".venv" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if any(name.startswith("pipeline.world.truth") for name in names):
                readers.add(str(path.relative_to(ROOT)))
    assert readers == MAY_READ_THE_TRUTH


def test_a_real_platform_has_no_truth(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="no simulated world"):
        Truth.load(tmp_path)


def test_a_disk_that_is_too_full_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="Nothing was written"):
        require_space(WorldSpec("huge", 10**9, 10), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_world_is_named() -> None:
    with pytest.raises(LentaError, match="there is no world moon; choose tiny, demo"):
        spec_of("moon")
