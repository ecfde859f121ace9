"""Rules of the business keep their promises whatever is ranked, and leave no slot empty that they need not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from contracts.arrangement import Candidate, arrange, may_stand_last, moves, slots_of
from contracts.rules import DAY, Boost, Freshness, SlateRules, age_at
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

NOW = 1_700_000_000
TOPICS = ["movie", "sport", "tech"]
IDS = st.integers(0, 15)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        IDS,
        st.sampled_from(TOPICS),
        st.none() | st.just(0) | st.integers(NOW - 20 * DAY, NOW + DAY),
    ),
    max_size=16,
    unique_by=lambda candidate: candidate.post,
)
some = settings(max_examples=40, deadline=None)
LIMITS = st.integers(1, 7)


@st.composite
def rule_sets(draw: st.DrawFn) -> SlateRules:
    blocked = draw(st.lists(IDS, max_size=3))
    pins = draw(st.dictionaries(st.integers(1, 7), IDS.filter(lambda post: post not in blocked), max_size=3))
    low, high = sorted(draw(st.tuples(st.integers(0, 15), st.integers(0, 25))))
    return SlateRules(
        blocked_posts=blocked,
        blocked_topics=draw(st.lists(st.sampled_from(TOPICS), max_size=1)),
        pins={slot: post for slot, post in pins.items() if list(pins.values()).count(post) == 1},
        most_per_topic=draw(st.none() | st.integers(1, 3)),
        most_of=draw(st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 3), max_size=1)),
        min_age_days=draw(st.none() | st.just(low)),
        max_age_days=draw(st.none() | st.just(high)),
        fresh=draw(st.none() | st.builds(Freshness, share=st.floats(0.01, 1), days=st.integers(1, 20))),
    )


SHOWN = st.frozensets(IDS, max_size=4)


def chosen(candidates: Sequence[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]) -> list[Candidate]:
    return [candidates[place] for place in arrange(candidates, rules, limit, NOW, shown).places]


def pinned(candidates: Sequence[Candidate], rules: SlateRules, limit: int) -> dict[int, Candidate]:
    """Those that can be pinned, by slot, counted by hand."""
    known = {candidate.post: candidate for candidate in candidates}
    of_topic, pins = Counter[str](), dict[int, Candidate]()
    for slot in sorted(rules.pins):
        candidate = known.get(rules.pins[slot])
        if slot > limit or candidate is None or candidate.topic in rules.blocked_topics:
            continue
        if of_topic[candidate.topic] < rules.limit_of(candidate.topic):
            of_topic[candidate.topic] += 1
            pins[slot] = candidate
    return pins


def free(candidates: Sequence[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]) -> list[Candidate]:
    """Those that no rule forbids, beside the pins."""
    fixed = pinned(candidates, rules, limit).values()
    return [
        each
        for each in candidates
        if each not in fixed and not rules.forbids(each.post, each.topic, age_at(NOW, each.first_view_at), shown)
    ]


def is_fresh(candidate: Candidate, rules: SlateRules) -> bool:
    return rules.fresh is not None and rules.fresh.is_fresh(age_at(NOW, candidate.first_view_at))


def room_for(candidates: Sequence[Candidate], fixed: Sequence[Candidate], rules: SlateRules) -> int:
    """How many of them the topics' limits leave beside the fixed ones."""
    have = Counter(each.topic for each in candidates)
    taken = Counter(each.topic for each in fixed)
    return sum(min(have[topic], rules.limit_of(topic) - taken[topic]) for topic in have)


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_nothing_forbidden_is_shown(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    pins = pinned(candidates, rules, limit).values()
    for post, topic, first_view_at in chosen(candidates, rules, limit, shown):
        assert post not in rules.blocked_posts
        assert topic not in rules.blocked_topics
        if post in {pin.post for pin in pins}:
            continue
        assert post not in shown
        if rules.min_age_days is not None or rules.max_age_days is not None:
            age = age_at(NOW, first_view_at)
            assert age is not None
            assert (rules.min_age_days or 0) * DAY <= age <= (rules.max_age_days or 0) * DAY or (
                rules.max_age_days is None and age >= (rules.min_age_days or 0) * DAY
            )


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_no_topic_has_more_than_its_limit(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    for topic, posts in Counter(each.topic for each in chosen(candidates, rules, limit, shown)).items():
        assert posts <= rules.limit_of(topic)


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_pins_stand_at_their_slots_or_at_the_end_of_a_short_list(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    posts = [each.post for each in chosen(candidates, rules, limit, shown)]
    for slot, pin in pinned(candidates, rules, limit).items():
        assert posts.index(pin.post) + 1 == slot or (len(posts) < limit and posts.index(pin.post) + 1 <= slot)


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_as_many_are_shown_as_the_rules_leave(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    pins = list(pinned(candidates, rules, limit).values())
    room = len(pins) + room_for(free(candidates, rules, limit, shown), pins, rules)
    assert len(chosen(candidates, rules, limit, shown)) == min(limit, room)


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_the_share_of_fresh_posts_is_reached_as_far_as_there_are_any(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    if rules.fresh is None:
        return
    pins = list(pinned(candidates, rules, limit).values())
    old = sum(not is_fresh(pin, rules) for pin in pins)
    young = [each for each in free(candidates, rules, limit, shown) if is_fresh(each, rules)]
    there = len(pins) - old + room_for(young, pins, rules)
    shown_fresh = sum(is_fresh(each, rules) for each in chosen(candidates, rules, limit, shown))
    assert shown_fresh >= min(slots_of(rules.fresh.share, limit), limit - old, there)


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_what_no_rule_moves_keeps_its_order_and_nothing_stands_there_twice(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    arrangement = arrange(candidates, rules, limit, NOW, shown)
    pins = {pin.post for pin in pinned(candidates, rules, limit).values()}
    others = [place for place in arrangement.places if candidates[place].post not in pins]
    assert others == sorted(set(others))


@some
@given(CANDIDATES, LIMITS)
def test_without_rules_the_list_is_the_rankers(candidates: list[Candidate], limit: int) -> None:
    assert arrange(candidates, SlateRules(), limit, NOW).places == list(range(min(limit, len(candidates))))


@some
@given(CANDIDATES, rule_sets(), LIMITS, SHOWN)
def test_every_post_that_a_rule_took_out_is_named_with_the_rule(
    candidates: list[Candidate], rules: SlateRules, limit: int, shown: frozenset[int]
) -> None:
    arrangement = arrange(candidates, rules, limit, NOW, shown)
    own = [each.post for each in candidates[:limit]]
    kept = {candidates[place].post for place in arrangement.places}
    out = {move.post: move.rule for move in moves(own, candidates, arrangement, rules) if move.slot is None}
    assert not set(out) & kept
    for candidate in candidates[:limit]:
        rule = rules.forbids(candidate.post, candidate.topic, age_at(NOW, candidate.first_view_at), shown)
        if rule is not None and candidate.post not in kept:
            assert out[candidate.post] == rule


@some
@given(CANDIDATES, CANDIDATES, rule_sets(), LIMITS)
def test_a_post_that_may_stand_last_breaks_no_promise(
    candidates: list[Candidate], others: list[Candidate], rules: SlateRules, limit: int
) -> None:
    slate = chosen(candidates, rules, limit, frozenset())
    for other in others:
        if not slate or other.post in {each.post for each in slate}:
            continue
        if may_stand_last(slate, other, rules, limit, NOW):
            tried = [*slate[:-1], other]
            assert not rules.forbids(other.post, other.topic, age_at(NOW, other.first_view_at), ())
            assert max(Counter(each.topic for each in tried).values()) <= max(map(rules.limit_of, TOPICS))
            assert sum(each.topic == other.topic for each in tried) <= rules.limit_of(other.topic)
            if rules.fresh is not None:
                had, has = (sum(is_fresh(each, rules) for each in posts) for posts in (slate, tried))
                assert has >= min(had, slots_of(rules.fresh.share, limit))


def test_a_move_says_which_rule_and_from_where_to_where() -> None:
    candidates = [Candidate(1, "movie", NOW), Candidate(2, "movie", NOW), Candidate(3, "sport", NOW)]
    rules = SlateRules(pins={1: 3}, most_of={"movie": 1})
    arrangement = arrange(candidates, rules, 3, NOW)
    told = [(move.post, move.rule, move.slot, move.own) for move in moves([1, 2, 3], candidates, arrangement, rules)]
    assert told == [(3, "pinned", 1, 3), (2, "most_per_topic", None, 2)]


def test_an_unknown_age_is_no_age_that_a_limit_lets_pass() -> None:
    assert SlateRules(max_age_days=3).forbids(1, "movie", None, ()) == "age"
    assert SlateRules().forbids(1, "movie", None, ()) is None
    assert SlateRules(max_age_days=3).forbids(1, "movie", age_at(NOW, 0), ()) is None


def test_boosts_of_a_post_and_of_its_topic_multiply() -> None:
    rules = SlateRules(boosts=[Boost(post=1, odds=2), Boost(topic="movie", odds=2), Boost(post=1, odds=0.25)])
    assert rules.boost_of(1, "movie") == pytest.approx(0)
    assert rules.boost_of(2, "movie") == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"pins": {"0": 1}}, "greater than or equal to 1"),
        ({"pins": {"1": 5, "2": 5}}, "pinned to two slots"),
        ({"pins": {"1": 5}, "blocked_posts": [5]}, "post 5 is in blocked_posts too"),
        ({"min_age_days": 3, "max_age_days": 2}, "no post would be left"),
        ({"boosts": [{"odds": 2}]}, "a post or a topic"),
        ({"boosts": [{"post": 1, "topic": "movie", "odds": 2}]}, "not both"),
        ({"fresh": {"share": 0, "days": 3}}, "greater than 0"),
        ({"most_per_topics": 2}, "Extra inputs"),
        ({"blocked_posts": list(range(1_001))}, "at most 1000"),
    ],
)
def test_rules_that_make_no_sense_say_why(rules: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SlateRules.model_validate(rules)
