"""One vote a user: who wins, by how much, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from experiments.effects import NotEnough
from experiments.interleaving import Votes, effect, p_value, win_share
from hypothesis import given
from hypothesis import strategies as st

some = st.integers(0, 3_000)


@given(some, some, some)
def test_the_sign_test_is_scipys_binomial_without_ties(test: int, control: int, ties: int) -> None:
    if test + control:
        theirs = scipy.stats.binomtest(test, test + control).pvalue
        assert p_value(Votes(test, control, ties)) == pytest.approx(theirs, rel=1e-9, abs=1e-300)


def test_many_votes_are_no_trouble() -> None:
    theirs = scipy.stats.binomtest(502_000, 1_000_000).pvalue
    assert p_value(Votes(502_000, 498_000)) == pytest.approx(theirs, rel=1e-7)


def test_a_user_has_one_vote_however_many_likes() -> None:
    assert Votes.of([0, 1, 2, 0], [9, 0, 2, 0]) == Votes(test=1, control=1, ties=2)
    assert Votes(1, 2, 3) + Votes(4, 5, 6) == Votes(5, 7, 9)


def test_ties_count_half_in_the_share() -> None:
    assert Votes(3, 1, 4).share == 0.625
    assert Votes(0, 0, 7).share == 0.5


def test_the_bootstrap_is_near_the_normal_interval() -> None:
    votes = Votes(520, 430, 1_050)
    drawn, normal = win_share(votes, np.random.default_rng(1)), effect(votes).interval()
    assert drawn.estimate == pytest.approx(0.5 + normal.estimate)
    assert (drawn.low, drawn.high) == pytest.approx((0.5 + normal.low, 0.5 + normal.high), abs=0.001)


def test_the_effects_variance_is_that_of_the_users_votes() -> None:
    result = effect(Votes(30, 20, 50))
    votes = np.repeat([0.5, -0.5, 0.0], [30, 20, 50])
    assert (result.estimate, result.variance) == pytest.approx((votes.mean(), votes.var(ddof=1) / 100))


def test_no_preference_says_nothing_and_impossible_input_is_refused() -> None:
    rng = np.random.default_rng(1)
    for votes in (Votes(), Votes(ties=5)):
        with pytest.raises(NotEnough):
            p_value(votes)
        with pytest.raises(NotEnough):
            win_share(votes, rng)
    with pytest.raises(NotEnough):
        effect(Votes(1))
    with pytest.raises(ValueError, match="no users can cast"):
        Votes(-1)
    with pytest.raises(ValueError, match="sample"):
        win_share(Votes(1, 1), rng, samples=0)
    with pytest.raises(ValueError, match="shorter"):
        Votes.of([1], [])


def test_one_like_more_is_a_vote() -> None:
    assert Votes.of([0, 2, 1], [1, 1, 1]) == Votes(test=1, control=1, ties=1)
