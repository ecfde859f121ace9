"""*served, truth*: five posts out of the whole catalogue through the gateway, judged by the simulated world's truth.

The chance of at least one like among the five is `1 - prod(1 - p)` over their true like probabilities.
"""

from __future__ import annotations

import time as pause
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
from contracts.assignment import GROUPS, Group
from contracts.headers import DEGRADED

from pipeline.errors import LentaError

Probabilities = npt.NDArray[np.float64]
K = 5
TRIES, PAUSE_SECONDS = 5, 0.3


@dataclass(frozen=True, slots=True)
class Served:
    """Chance of a hit for each asked user, by policy; and how much of the catalogue each model showed."""

    hits: dict[str, Probabilities]
    coverage: dict[Group, float]


def ask(
    gateway: httpx.Client, users: Sequence[int], time: str, on_progress: Callable[[int], None]
) -> dict[Group, list[list[int]]]:
    """The five post ids that each model gives each user, asked one at a time. Previews: not exposures."""
    answers: dict[Group, list[list[int]]] = {group: [] for group in GROUPS}
    for number, user in enumerate(users):
        for group in GROUPS:
            answers[group].append(_ask_one(gateway, group, user, time))
        on_progress(number + 1)
    return answers


def _ask_one(gateway: httpx.Client, group: Group, user: int, time: str) -> list[int]:
    """Asks again when the answer is degraded, as happens on a machine that is briefly busy."""
    url, degraded = f"/{group}/post/recommendations/", ""
    for attempt in range(TRIES):
        pause.sleep(attempt * PAUSE_SECONDS)
        try:
            response = gateway.get(url, params={"id": user, "time": time, "limit": K}).raise_for_status()
        except httpx.HTTPError as error:
            raise LentaError(
                f"the gateway did not answer {url} for user {user}: {error}. See `lenta status`."
            ) from error
        degraded = response.headers.get(DEGRADED, "")
        if not degraded:
            return [post["id"] for post in response.json()]
    raise LentaError(f"user {user}: {group} answers degraded ({degraded}); its quality cannot be judged so")


def hit_chance(probabilities: Probabilities) -> float:
    """The chance of at least one like. probabilities: shape (k,)."""
    return float(1 - np.prod(1 - probabilities))


def judge(
    answers: dict[Group, list[list[int]]],
    users: Sequence[int],
    post_ids: npt.NDArray[np.int64],
    popularity: Probabilities,
    liked: Sequence[npt.NDArray[np.integer]],
    like_probability: Callable[[int], Probabilities],
    rng: np.random.Generator,
) -> Served:
    """The models beside random, most popular and the oracle, all out of the posts that the user has not liked.

    post_ids, popularity: shape (posts,), the latter a like rate; liked: each user's liked ids;
    like_probability: a user's true probabilities, shape (posts,).
    """
    place = {int(post): index for index, post in enumerate(post_ids)}
    hits: dict[str, list[float]] = {name: [] for name in ("random", "popular", *GROUPS, "oracle")}
    for number, user in enumerate(users):
        truth = like_probability(user)
        allowed = np.flatnonzero(~np.isin(post_ids, liked[number]))
        lists: dict[str, npt.NDArray[np.intp]] = {
            "random": rng.choice(allowed, K, replace=False),
            "popular": allowed[np.argsort(-popularity[allowed], kind="stable")[:K]],
            "oracle": allowed[np.argsort(-truth[allowed], kind="stable")[:K]],
            **{group: np.array([place[post] for post in answers[group][number]], np.intp) for group in GROUPS},
        }
        for name, posts in lists.items():
            hits[name].append(hit_chance(truth[posts]))
    coverage = {group: len({post for five in answers[group] for post in five}) / len(post_ids) for group in GROUPS}
    return Served({name: np.array(values) for name, values in hits.items()}, coverage)
