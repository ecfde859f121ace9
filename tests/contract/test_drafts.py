"""Interleaved and explored lists: what holds of every one of them, and that the key alone decides."""

from __future__ import annotations

import uuid
from collections import Counter
from hashlib import md5

import pytest
from contracts.experiments import Plan
from contracts.exploration import explore
from contracts.interleaving import team_draft
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

rankings = st.lists(st.integers(1, 12), unique=True, max_size=12)
keys = st.uuids().map(lambda key: key.hex)
limits = st.integers(1, 12)


@given(rankings, rankings, limits, keys)
def test_no_post_comes_twice_and_no_more_than_asked_for(
    control: list[int], test: list[int], limit: int, key: str
) -> None:
    draft = team_draft(control, test, limit, key)
    assert len(set(draft.posts)) == len(draft.posts) == len(draft.teams) <= limit


@given(rankings, rankings, limits, keys)
def test_the_teams_differ_by_at_most_one_after_every_slot(
    control: list[int], test: list[int], limit: int, key: str
) -> None:
    teams = team_draft(control, test, limit, key).teams
    for slots in range(1, len(teams) + 1):
        assert abs(teams[:slots].count("c") - teams[:slots].count("t")) <= 1


@given(rankings, rankings, limits, keys)
def test_each_slot_holds_the_best_of_its_teams_posts_that_was_not_taken(
    control: list[int], test: list[int], limit: int, key: str
) -> None:
    posts, teams = team_draft(control, test, limit, key)
    for slot, team in enumerate(teams):
        mine = control if team == "c" else test
        assert posts[slot] == next(post for post in mine if post not in posts[:slot])


@given(st.permutations(range(9)), st.permutations(range(9)), limits, keys)
def test_two_full_lists_fill_every_slot(control: list[int], test: list[int], limit: int, key: str) -> None:
    assert len(team_draft(control, test, limit, key).posts) == min(limit, 9)


@given(rankings, limits, keys)
def test_of_two_equal_lists_the_list_comes_out(ranking: list[int], limit: int, key: str) -> None:
    assert team_draft(ranking, ranking, limit, key).posts == ranking[:limit]


@given(rankings, rankings, limits, keys)
def test_the_same_key_makes_the_same_draft(control: list[int], test: list[int], limit: int, key: str) -> None:
    assert team_draft(control, test, limit, key) == team_draft(list(control), list(test), limit, key)


def test_the_coin_is_the_published_one() -> None:
    """The first turn is test's where the lowest bit of md5(key + ".draft") is set."""
    for key in ("a", "b", "9f2c", "0" * 32):
        odd = md5(f"{key}.draft".encode()).digest()[-1] & 1
        assert team_draft([1, 2], [3, 4], 1, key).teams == ("t" if odd else "c")


def test_either_team_begins_every_turn_half_the_time() -> None:
    drafts = [team_draft(range(10), range(20, 30), 6, uuid.UUID(int=place).hex).teams for place in range(10_000)]
    for turn in (0, 2, 4):
        count = Counter(teams[turn] for teams in drafts)["t"]
        assert abs(count - 5_000) < 200  # four standard deviations
    assert all(
        abs(Counter(teams[:4] for teams in drafts)[way] - 2_500) < 180 for way in ("cttc", "ctct", "tcct", "tctc")
    )


@given(st.integers(0, 40), st.integers(1, 10), st.floats(0, 0.5), keys)
def test_only_the_last_slot_is_ever_explored(ranked: int, limit: int, share: float, key: str) -> None:
    places, propensities = explore(ranked, limit, share, key)
    assert len(places) == len(propensities) == min(limit, ranked)
    assert places[:-1] == list(range(len(places)))[:-1]
    assert all(place < ranked for place in places)
    assert len(set(places)) == len(places)
    assert propensities[:-1] == [1.0] * (len(places) - 1) if places else propensities == []


def test_the_propensity_is_how_often_it_happens() -> None:
    drawn = [explore(25, 5, 0.3, uuid.UUID(int=place).hex) for place in range(20_000)]
    by_place = Counter(places[-1] for places, _ in drawn)
    assert abs(by_place[4] - 14_000) < 260
    assert all(abs(by_place[place] - 300) < 70 for place in range(5, 25))
    for places, propensities in drawn:
        assert propensities[-1] == pytest.approx(0.7 if places[-1] == 4 else 0.3 / 20)


def test_without_candidates_behind_nothing_is_explored() -> None:
    assert explore(5, 5, 0.5, "key") == ([0, 1, 2, 3, 4], [1.0] * 5)


@pytest.mark.parametrize("mode", ["interleave", "shadow"])
def test_exploration_belongs_to_lists_of_one_ranker_that_users_see(mode: str) -> None:
    with pytest.raises(ValidationError, match="exploration"):
        Plan.model_validate({"mode": mode, "exploration": 0.1})
