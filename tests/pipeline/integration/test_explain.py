"""What was served comes out again from Postgres and the model; where it does not, the cause is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.assignment import GROUPS, Group
from contracts.catalogue import Catalogue
from contracts.experiments import EXPLORED, Experiment, Plan
from contracts.exploration import explore
from contracts.interleaving import team_draft
from contracts.wire import Exposure, Move
from pipeline.dataset import Tables, opened
from pipeline.explanations.explanation import ExposureExplanation, ReplayedRanking, explained
from pipeline.explanations.printout import as_json, print_explanation
from pipeline.explanations.snapshot import Lag
from pipeline.training.fit import FittedModel, fit
from pipeline.training.models import model_of
from ranking.artefact import ModelStore
from rich.console import Console

from tests.support.data.small_feed import START, Row, lively, write_tables
from tests.support.platforms.live_platform import Live, live_platform

USERS, POSTS, DAYS = 40, 60, 12
CUT, MOMENT = START + timedelta(days=9), START + timedelta(days=10, hours=2, minutes=40)
USER, STRANGER = 204, 9_999


@dataclass(frozen=True)
class World:
    folder: Path
    rows: list[Row]
    fitted: dict[Group, FittedModel]
    model_uri: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("explained")
    rows = sorted(lively(np.random.default_rng(4), USERS, POSTS, days=DAYS), key=lambda row: row.seconds)
    folder = write_tables(root / "tables", rows, USERS, POSTS)
    store = ModelStore(str(root / "models"))
    with opened(Tables.of_folder(folder), CUT) as feed:
        fitted = {name: fit(model_of(name), feed, CUT) for name in GROUPS}
    for name, result in fitted.items():
        result.save(root / name)
        store.put(root / name, result.manifest)
    return World(folder, rows, fitted, str(root / "models"))


@dataclass
class Serving:
    """Serves as gateway and rankers do, out of what feature-service says at that moment."""

    world: World
    live: Live
    postgres_url: str
    old: Catalogue
    """The snapshot of an hour before MOMENT's."""
    experiment: Experiment = field(default_factory=lambda: Experiment.started("models", Plan(), START))

    def ranked(
        self, name: Group, user: int, limit: int, catalogue: Catalogue | None = None, explored: int = 0
    ) -> tuple[list[int], list[float]]:
        bound = self.world.fitted[name].scorer.bind(catalogue or self.live.catalogue())
        posts, scores = bound.rank(self.live.row(user), int(MOMENT.timestamp()), limit, explored=explored)
        return posts.tolist(), scores.tolist()

    def serve(self, user: int = USER, catalogue: Catalogue | None = None, **changes: object) -> Exposure:
        assigned = self.experiment.assign(user, MOMENT)
        posts, scores = self.ranked(assigned.group, user, 5, catalogue)
        return Exposure(
            key="e1",
            user_id=user,
            experiment="models",
            group=assigned.group,
            ranker=assigned.group,
            model=assigned.group,
            model_version=self.version(assigned.group),
            posts=posts,
            scores=scores,
            asked_for=MOMENT,
            served_at=MOMENT,
        ).model_copy(update=changes)

    def version(self, name: Group) -> str:
        return self.world.fitted[name].manifest.version

    def explain(self, exposure: Exposure) -> ExposureExplanation:
        result = explained(exposure, self.experiment, self.postgres_url, self.world.model_uri, lambda done, total: None)
        print_explanation(result, Console())
        assert '"assignment"' in as_json(result)
        return result

    def ranking(self, exposure: Exposure) -> ReplayedRanking:
        result = self.explain(exposure).ranking
        assert result is not None
        return result

    def happens(self, *rows: Row) -> None:
        """Accepted, and not counted yet."""
        first = len(self.world.rows) + self.live.sent
        self.live.send(first, list(rows))


@pytest.fixture
def serving(world: World, postgres_url: str, redis_url: str) -> Iterator[Serving]:
    with live_platform(world.folder, postgres_url, redis_url) as live:
        live.replay(world.rows, MOMENT - timedelta(hours=1))
        old = live.catalogue()
        live.replay(world.rows, MOMENT - timedelta(minutes=10))
        live.settle(MOMENT)
        yield Serving(world, live, postgres_url, old)


def before(moment: datetime, minutes: float, user: int, post: int, action: str) -> Row:
    seconds = (moment - START).total_seconds() - 60 * minutes
    return Row(seconds, user, post, action, 0 if action == "view" else None)


def test_an_answer_comes_out_again_for_everybody(serving: Serving) -> None:
    for user in (USER, 205, 206, 207, STRANGER):
        exposure = serving.serve(user)
        result = serving.explain(exposure)
        assert result.assignment.is_equal
        assert result.ranking is not None
        assert result.ranking.recomputed.found == Lag(), result.ranking.words
        assert result.ranking.moved == []
        assert [place.rank for place in result.ranking.places] == [1, 2, 3, 4, 5]
        assert result.ranking.offline is not None
        assert result.ranking.offline < 1e-6
        assert set(result.ranking.reasons) == set(exposure.posts)


def test_events_that_were_not_counted_yet_are_found_and_named(serving: Serving) -> None:
    new = serving.ranked("control", USER, 30)[0][10:12]
    serving.happens(*(before(MOMENT, 5 - place, USER, post, "view") for place, post in enumerate(new)))
    exposure = serving.serve()
    serving.live.settle(MOMENT)
    result = serving.ranking(exposure)
    assert result.recomputed.found == Lag(events=2)
    assert result.words == "equal, with what serving knew: the user's last 2 events not yet counted"
    assert "user_views" in {line.column for line in result.moved}


def test_an_older_snapshot_is_found_and_named(serving: Serving) -> None:
    result = serving.ranking(serving.serve(catalogue=serving.old))
    assert result.recomputed.found == Lag(hours=1)
    assert result.words == "equal, with what serving knew: a snapshot 1 h older than the last full hour"
    columns = {line.column for line in result.moved}
    assert columns & {"post_views", "post_rate", "topic_rate", "user_topic_by_post"}
    assert not columns & {"user_views", "days_since_view", "days_since_like"}


def test_a_user_s_event_that_came_in_afterwards_is_no_secret(serving: Serving) -> None:
    exposure = serving.serve()
    serving.happens(
        before(MOMENT, 300, 211, exposure.posts[0], "view"), before(MOMENT, 299, 211, exposure.posts[0], "like")
    )
    serving.live.settle(MOMENT)
    result = serving.ranking(exposure)
    assert not result.is_equal
    assert result.words.startswith(("not equal: the same posts, but a score is", "not equal: other posts come out"))
    assert "events came in late" in result.words


def test_other_posts_are_not_equal(serving: Serving) -> None:
    exposure = serving.serve()
    result = serving.ranking(
        exposure.model_copy(update={"posts": exposure.posts[::-1], "scores": exposure.scores[::-1]})
    )
    assert result.words.startswith("not equal: other posts come out")


def test_an_interleaved_list_is_drafted_again(serving: Serving) -> None:
    lists = [serving.ranked(name, USER, 5) for name in GROUPS]
    draft = team_draft(lists[0][0], lists[1][0], 5, "e1")
    scores = {team: dict(zip(*one, strict=True)) for team, one in zip("ct", lists, strict=True)}
    exposure = serving.serve(
        mode="interleave",
        model="control+test",
        model_version="+".join(serving.version(name) for name in GROUPS),
        posts=draft.posts,
        teams=draft.teams,
        scores=[scores[team][post] for post, team in zip(draft.posts, draft.teams, strict=True)],
    )
    result = serving.ranking(exposure)
    assert result.is_equal
    assert [place.team for place in result.places] == list(draft.teams)
    other = exposure.model_copy(
        update={"key": next(key for key in map(str, range(99)) if _draws_otherwise(lists, key, draft.teams))}
    )
    assert not serving.ranking(other).is_equal


def _draws_otherwise(lists: list[tuple[list[int], list[float]]], key: str, teams: str) -> bool:
    return team_draft(lists[0][0], lists[1][0], 5, key).teams != teams


def test_under_rules_the_scores_of_what_was_shown_are_computed_again(serving: Serving) -> None:
    posts, scores = serving.ranked(serving.experiment.assign(USER, MOMENT).group, USER, 9)
    shown = [8, 0, 3, 1, 2]
    exposure = serving.serve(
        posts=[posts[place] for place in shown],
        scores=[scores[place] for place in shown],
        rules="default@2",
        moves=[Move(post=posts[8], rule="pinned", slot=1)],
    )
    assert serving.ranking(exposure).is_equal
    wrong = exposure.model_copy(update={"scores": [score + 0.1 for score in exposure.scores]})
    assert not serving.ranking(wrong).is_equal


def test_an_explored_slot_is_drawn_again(serving: Serving) -> None:
    serving.experiment = Experiment.started("models", Plan(exploration=0.5), START)
    group = serving.experiment.assign(USER, MOMENT).group
    posts, scores = serving.ranked(group, USER, 5, explored=EXPLORED)
    key = next(key for key in map(str, range(99)) if explore(len(posts), 5, 0.5, key).places[-1] > 4)
    places, propensities = explore(len(posts), 5, 0.5, key)
    exposure = serving.serve(
        key=key,
        posts=[posts[place] for place in places],
        scores=[scores[place] for place in places],
        propensities=propensities,
    )
    result = serving.ranking(exposure)
    assert result.is_equal
    by_score, _ = serving.ranked(group, USER, len(serving.live.catalogue()))
    assert result.places[-1].rank == by_score.index(posts[places[-1]]) + 1
    assert not serving.ranking(exposure.model_copy(update={"propensities": [1.0] * 5})).is_equal


def test_a_fallback_has_no_ranking_to_make_again(serving: Serving) -> None:
    exposure = serving.serve(model="popular", model_version="", scores=[], degraded="ranker_timeout")
    result = serving.explain(exposure)
    assert result.ranking is None
    assert result.nothing == "degraded (ranker_timeout): popular gave the posts, and no model ranked them"


def test_a_group_that_the_table_does_not_give_any_more_is_said(serving: Serving) -> None:
    exposure = serving.serve()
    other: Group = "test" if exposure.group == "control" else "control"
    serving.experiment = Experiment.started("models", Plan(forced={USER: other}), START)
    result = serving.explain(exposure)
    assert not result.assignment.is_equal
    assert f"group {other} of weight period 0, served {exposure.group}" in result.assignment.words
