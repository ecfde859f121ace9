"""What was liked beyond expectation, against the plainest possible sum over the same views."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.dataset import Tables, opened
from pipeline.dataset.feed import microseconds
from pipeline.dataset.residuals import POST_SMOOTHING, USER_SMOOTHING, residuals_before
from ranking.factors_fit import Residuals
from scipy.special import expit, logit

from tests.support.data.small_feed import START, Row, write_tables

USERS, POSTS = 4, 5
views = st.builds(
    Row,
    seconds=st.integers(0, 9).map(float),
    user=st.integers(200, 199 + USERS),
    post=st.integers(1, POSTS),
    action=st.just("view"),
    target=st.sampled_from([0, 1]),
)
BOUND = 6.0


def of(folder: Path, rows: list[Row], before: float = BOUND, limit: int = 10**9) -> Residuals:
    with opened(Tables.of_folder(write_tables(folder, rows, USERS, POSTS))) as feed:
        return residuals_before(feed, microseconds(START + timedelta(seconds=before)), views=limit)


@settings(max_examples=20, deadline=None)
@given(st.lists(views, min_size=1, max_size=40, unique=True))  # of rows that mean the same, the feed has one
def test_every_view_before_the_moment_adds_what_was_liked_less_what_was_expected(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    residuals = of(tmp_path_factory.mktemp("feed"), rows)
    seen = [(row.user, row.post - 1, float(row.target or 0)) for row in rows if row.seconds < BOUND]
    users = sorted({user for user, *_ in seen})
    rate = (sum(liked for *_, liked in seen) + 1) / (len(seen) + 10)
    by_user = {user: _odds([one[2] for one in seen if one[0] == user], rate, USER_SMOOTHING) for user in users}
    by_post = {post: _odds([one[2] for one in seen if one[1] == post], rate, POST_SMOOTHING) for post in range(POSTS)}
    expected = np.zeros((len(users), POSTS))
    weight = np.zeros_like(expected)
    for user, post, liked in seen:
        chance = float(expit(by_user[user] + by_post[post] - logit(rate)))
        expected[users.index(user), post] += liked - chance
        weight[users.index(user), post] += chance * (1 - chance)
    assert residuals.sums.shape == expected.shape
    np.testing.assert_allclose(residuals.sums.toarray(), expected, atol=1e-5)
    np.testing.assert_allclose(residuals.user_weight, weight.sum(axis=1))
    np.testing.assert_allclose(residuals.post_weight, weight.sum(axis=0))
    assert residuals.likes.sum() == sum(liked for *_, liked in seen)


def test_of_a_large_feed_whole_users_are_left_out(tmp_path: Path) -> None:
    rows = [Row(float(n), 200 + n % USERS, 1 + n % POSTS, "view", n % 2) for n in range(200)]
    every, some = (of(tmp_path / str(limit), rows, 1e6, limit) for limit in (200, 100))
    assert 0 < some.sums.shape[0] < every.sums.shape[0] == USERS
    assert set(np.diff(some.sums.indptr)) == {200 / USERS}


def _odds(liked: list[float], rate: float, smoothing: float) -> float:
    return float(logit((sum(liked) + smoothing * rate) / (len(liked) + smoothing)))
