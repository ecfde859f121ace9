"""A ranker's pool under rules: slots filled from it hold what they would hold if all posts were ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contracts.arrangement import Candidate, arrange
from contracts.catalogue import Catalogue
from contracts.records import BadRecordError, UserRow
from contracts.rules import Boost, Freshness, SlateRules
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking.rules import Ruling
from ranking.scorer import BoundScorer, Scorer

from tests.support.data.toy_model import NOW, LengthEncoder, toy_artefact, toy_catalogue, toy_row

NOBODY = np.zeros(0, np.uint32)


def bound_to(catalogue: Catalogue, folder: Path) -> BoundScorer:
    toy_artefact(folder, catalogue)
    return Scorer.open(folder, LengthEncoder.load).bind(catalogue)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> BoundScorer:
    return bound_to(toy_catalogue(300), tmp_path_factory.mktemp("toy"))


@st.composite
def rule_sets(draw: st.DrawFn) -> SlateRules:
    topics = st.sampled_from(toy_catalogue(1).topics.tolist())
    ids = st.integers(1, 310)
    blocked = draw(st.lists(ids, max_size=5))
    pins = draw(st.lists(ids.filter(lambda post: post not in blocked), max_size=3, unique=True))
    return SlateRules(
        blocked_posts=blocked,
        blocked_topics=draw(st.lists(topics, max_size=2)),
        pins=dict(zip((1, 3, 5), pins, strict=False)),
        boosts=draw(st.lists(st.builds(Boost, topic=topics, odds=st.floats(0.1, 10)), max_size=2)),
        most_per_topic=draw(st.none() | st.integers(1, 2)),
        max_age_days=draw(st.none() | st.integers(5, 70)),
        fresh=draw(st.none() | st.builds(Freshness, share=st.floats(0.1, 1), days=st.integers(1, 40))),
    )


def candidates(bound: BoundScorer, posts: Sequence[int]) -> list[Candidate]:
    catalogue = bound.catalogue
    places = catalogue.index_of(np.array(posts, np.int64))
    topics, first = catalogue.topics[catalogue.topic[places]], catalogue.first_view_at[places]
    return [Candidate(*each) for each in zip(posts, topics.tolist(), first.tolist(), strict=True)]


def filled(of: list[Candidate], rules: SlateRules, shown: Sequence[int] = ()) -> list[int]:
    return [of[place].post for place in arrange(of, rules, 5, NOW, frozenset(shown)).places]


@settings(max_examples=40, deadline=None)
@given(rules=rule_sets(), user_id=st.integers(0, 9), shown=st.lists(st.integers(1, 300), max_size=10))
def test_the_pool_fills_the_slots_as_all_posts_would(
    bound: BoundScorer, rules: SlateRules, user_id: int, shown: list[int]
) -> None:
    row = UserRow.unpack(toy_row(user_id, bound.catalogue, likes=100))
    ids, _, ruled = bound.rank_ruled(row, NOW, 5, Ruling(rules, np.array(shown, np.uint32)), kept=60)
    score = bound.score_all(row, NOW)
    boosts = [rules.boost_of(each.post, each.topic) for each in candidates(bound, bound.catalogue.post_id.tolist())]
    order = np.lexsort((bound.catalogue.post_id, -(score + boosts)))
    everything = [post for post in bound.catalogue.post_id[order].tolist() if post not in set(row.hidden.tolist())]
    from_pool = filled(candidates(bound, ids.tolist()), rules, shown)
    from_all = filled(candidates(bound, everything), rules, shown)
    assert len(from_pool) == len(from_all)
    assert len(ids) == ruled.pool <= 5 * 5


def test_with_all_posts_in_the_second_stage_the_pool_gives_the_very_same_slots(bound: BoundScorer) -> None:
    rules = SlateRules(most_per_topic=1, fresh=Freshness(share=0.6, days=20), pins={2: 17}, max_age_days=50)
    for user_id in range(20):
        row = UserRow.unpack(toy_row(user_id, bound.catalogue, likes=100))
        ids, _, _ = bound.rank_ruled(row, NOW, 5, Ruling(rules, NOBODY), kept=300)
        plain, _ = bound.rank(row, NOW, 300, kept=300)
        assert filled(candidates(bound, ids.tolist()), rules) == filled(candidates(bound, plain.tolist()), rules)


def test_without_a_rule_the_pool_begins_with_the_models_own_list(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    ids, scores, ruled = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(not_again=1), NOBODY))
    own, own_scores = bound.rank(row, NOW, 5)
    assert ids.tolist() == ruled.own == own.tolist()
    assert scores == pytest.approx(own_scores)
    assert ruled.kept_out == {}


def test_what_keeps_the_models_own_posts_out_is_named(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    own = bound.rank(row, NOW, 5)[0].tolist()
    rules = SlateRules(blocked_posts=own[:1], boosts=[Boost(post=own[1], odds=0.001)])
    ids, _, ruled = bound.rank_ruled(row, NOW, 5, Ruling(rules, np.array(own[2:3], np.uint32)))
    assert ruled.own == own
    assert ruled.kept_out == {own[0]: "blocked", own[1]: "boosted", own[2]: "shown"}
    assert not set(own[:3]) & set(ids.tolist())


def test_a_boost_changes_the_order_and_no_score(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    plain, scores = bound.rank(row, NOW, 300, kept=300)
    last = int(plain[-1])
    ids, ruled_scores, _ = bound.rank_ruled(
        row, NOW, 5, Ruling(SlateRules(boosts=[Boost(post=last, odds=1_000)]), NOBODY)
    )
    assert ids[0] == last
    assert ruled_scores[0] == pytest.approx(scores[-1])


def test_where_one_topic_fills_the_first_stage_the_others_are_looked_for(tmp_path: Path) -> None:
    catalogue = toy_catalogue(300)
    rare = np.isin(np.arange(300), [3, 77, 200])
    catalogue = replace(catalogue, topic=np.where(rare, 1, 0).astype(np.int16))
    bound = bound_to(catalogue, tmp_path)
    row = UserRow.unpack(toy_row(1, catalogue, likes=0))
    ids, _, _ = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(most_per_topic=2), NOBODY), kept=10)
    assert len(filled(candidates(bound, ids.tolist()), SlateRules(most_per_topic=2))) == 4


def test_diversity_puts_what_is_unlike_first(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    varied, _, _ = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(diversity=5), NOBODY))
    plain, _, _ = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(not_again=1), NOBODY))
    assert varied[0] == plain[0]
    assert varied.tolist() != plain.tolist()


def test_what_is_explored_stands_behind_the_pool_and_no_rule_forbids_it(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    topic = str(bound.catalogue.topics[0])
    ids, _, ruled = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(blocked_topics=[topic]), NOBODY), explored=20)
    assert len(ids) == len(ruled.topics) == len(ruled.first_view_at) == ruled.pool + 20
    assert topic not in ruled.topics
    assert len(set(ids.tolist())) == len(ids)


def test_a_pin_that_the_user_has_liked_is_in_no_pool(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    liked = int(row.hidden[0])
    ids, _, _ = bound.rank_ruled(row, NOW, 5, Ruling(SlateRules(pins={1: liked, 2: 9_999}), NOBODY))
    assert not {liked, 9_999} & set(ids.tolist())


def test_an_empty_catalogue_and_rules_that_leave_nothing_give_an_empty_pool(bound: BoundScorer) -> None:
    row = UserRow.unpack(toy_row(1, bound.catalogue))
    rules = SlateRules(blocked_topics=bound.catalogue.topics.tolist())
    ids, scores, ruled = bound.rank_ruled(row, NOW, 5, Ruling(rules, NOBODY), explored=20)
    assert ids.tolist() == scores.tolist() == []
    assert ruled.pool == 0
    assert len(ruled.own) == 5


def test_ids_that_are_cut_off_are_refused() -> None:
    with pytest.raises(BadRecordError, match="cut off"):
        Ruling.unpack(b"{}", b"123")
