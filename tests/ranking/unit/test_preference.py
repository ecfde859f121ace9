"""A user's preference: the posterior by hand, what is recovered from users drawn by the model, and odd profiles."""

from __future__ import annotations

import numpy as np
import pytest
from ranking.encoder import UserState
from ranking.examples import Examples, Liked, Posts
from ranking.last_likes import LastLikes
from ranking.preference import PreferencePosterior, fit_preference
from ranking.profiles import profile_inputs
from ranking.taste import standard_space, taste_space, taste_variances

USERS, POSTS, VIEWS = 600, 400, 150
TOPICS = ["film", "sport"]


def _drawn(rng: np.random.Generator, spread: float) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Users with tastes of sd `spread` along the first of three directions of the posts. Every view is a row."""
    vectors = rng.normal(size=(POSTS, 3)).astype(np.float32)
    taste = rng.normal(0, spread, USERS)
    user, post = np.repeat(np.arange(USERS), VIEWS), rng.integers(0, POSTS, USERS * VIEWS)
    odds = -2.0 + taste[user] * vectors[post, 0]
    clicked = (rng.random(len(user)) < 1 / (1 + np.exp(-odds))).astype(float)
    topic = np.arange(POSTS) % 2
    seen = np.eye(2)[topic[post]]
    within = np.cumsum(np.hstack([seen, seen * clicked[:, None]]), axis=0) - np.hstack([seen, seen * clicked[:, None]])
    counts = within - np.repeat(within[::VIEWS], VIEWS, axis=0)
    likes = np.flatnonzero(clicked)
    before = np.cumsum(clicked).astype(np.int64) - clicked.astype(np.int64)
    start = np.repeat(before[::VIEWS], VIEWS)
    examples = Examples(
        posts=Posts(np.arange(POSTS), [""] * POSTS, topic, TOPICS),
        all_liked=Liked(post[likes]),
        user=user,
        post=post,
        profile=np.full((len(user), 7), np.nan),
        topic_views=counts[:, :2],
        topic_likes=counts[:, 2:],
        liked_from=start,
        liked=before - start,
        since_like=np.full(len(user), np.inf),
        post_odds=np.full(len(user), -2.0),
        clicked=clicked,
        time=np.arange(len(user)),
    )
    return examples, vectors, taste


def test_the_direction_along_which_users_differ_is_found_and_chance_is_not() -> None:
    examples, vectors, _ = _drawn(np.random.default_rng(1), 0.6)
    space = taste_space(vectors, examples, 3)
    assert space.rank == 1
    turn = space.turn[:, 0] / np.linalg.norm(space.turn[:, 0])
    assert abs(turn[0]) > 0.95


def test_variances_of_tastes_are_recovered_direction_by_direction() -> None:
    examples, vectors, _ = _drawn(np.random.default_rng(2), 0.6)
    space = standard_space(vectors, examples)
    first, *others = taste_variances(space.coordinates(vectors, examples.posts.topic), examples)
    assert first == pytest.approx(0.36, rel=0.35)
    assert max(others) < 0.03


def test_a_users_taste_is_recovered_from_likes_and_shrunk_by_how_few_they_are() -> None:
    examples, vectors, taste = _drawn(np.random.default_rng(3), 0.6)
    space = taste_space(vectors, examples, 1)
    z = space.coordinates(vectors, examples.posts.topic)
    preference = fit_preference(z, examples)
    last = examples.where(examples.last_rows()).state(z)
    theta = preference.posterior(last, last.liked_sum, profile_inputs(last.profile))
    sign = np.sign(space.turn[0, 0])
    assert np.corrcoef(sign * preference.tastes(theta)[:, 0], taste)[0, 1] > 0.75
    nobody = UserState(
        np.full((1, 7), np.nan),
        np.zeros((1, 2)),
        np.zeros((1, 2)),
        np.zeros((1, 1), np.float32),
        np.zeros(1),
        LastLikes.none(),
    )
    assert np.abs(preference.posterior(nobody, nobody.liked_sum, profile_inputs(nobody.profile))).max() < 0.2


def test_the_posterior_is_that_of_the_formula_for_one_and_for_many_users() -> None:
    rng = np.random.default_rng(4)
    size = 2 + 1
    root = rng.normal(size=(size, size))
    preference = PreferencePosterior(
        np.array([0.1, 0.2, 0.15]),
        root @ root.T + np.eye(size),
        np.zeros((profile_inputs(np.full((1, 7), np.nan)).shape[1], size)),
    )
    views, likes = rng.integers(10, 60, (5, 2)).astype(float), rng.integers(0, 9, (5, 2)).astype(float)
    sums, liked = rng.normal(size=(5, 1)).astype(np.float32), rng.integers(0, 9, 5).astype(float)
    user = UserState(np.full((5, 7), np.nan), views, likes, sums, liked, LastLikes.none())
    theta = preference.posterior(user, sums, profile_inputs(user.profile))
    for row in range(5):
        h = np.diag([views[row, 0] * 0.09, views[row, 1] * 0.16, liked[row] * 0.85**2])
        s = np.array([likes[row, 0] - 0.1 * views[row, 0], likes[row, 1] - 0.2 * views[row, 1], 0.85 * sums[row, 0]])
        np.testing.assert_allclose(theta[row], np.linalg.solve(h + preference.precision, s), rtol=1e-6)


def test_rows_that_share_what_is_known_share_the_posterior() -> None:
    examples, vectors, _ = _drawn(np.random.default_rng(5), 0.6)
    space = taste_space(vectors, examples, 1)
    z = space.coordinates(vectors, examples.posts.topic)
    preference = fit_preference(z, examples)
    rows = np.array([7, 7, 7, 300, 300, 8])
    state = examples.where(rows).state(z)
    one_by_one = [
        preference.posterior(
            examples.where(rows[[at]]).state(z), state.liked_sum[[at]], profile_inputs(state.profile[[at]])
        )[0]
        for at in range(len(rows))
    ]
    np.testing.assert_allclose(
        preference.posterior(state, state.liked_sum, profile_inputs(state.profile)), one_by_one, rtol=1e-9
    )


def test_an_unknown_topic_takes_the_mean_of_the_known_ones() -> None:
    preference = PreferencePosterior(np.array([0.1, 0.2, 0.15]), np.eye(3), np.zeros((1, 3)))
    theta = np.array([[1.0, 3.0, 9.0]])
    np.testing.assert_allclose(preference.topic_log_odds(theta, np.array([0, 1, -1])), [1.0, 3.0, 2.0])


def test_a_profile_with_holes_has_no_inputs_for_them() -> None:
    whole, empty = np.array([[30.0, 1, 2, 0, 1, 0, 3]]), np.full((1, 7), np.nan)
    assert profile_inputs(whole).sum() == 1 + 2 + 6
    assert profile_inputs(empty).sum() == 1
