"""The gateway's answers to everything that the demo page shows.

Independent calls go out together; the texts of liked posts follow the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.assignment import GROUPS, Group
from contracts.experiments import RunningExperiments
from contracts.wire import Explanation, FeedRow, Post, User

from console.gateway import Gateway, GatewayError, Preview, or_error

LIKED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Answers:
    """What the gateway answered, or why it did not."""

    user: User | GatewayError | None
    history: list[FeedRow] | GatewayError
    posts: Mapping[int, Post | GatewayError | None]
    """By id: those of `liked_lately`, those liked here, and those that reasons name."""
    previews: Mapping[Group, Preview | GatewayError]
    reasons: Mapping[Group, Sequence[Explanation]] = field(default_factory=dict)
    """Empty where a model gave none."""
    running: RunningExperiments | None = None
    """By what users are split; None where it could not be read."""

    @property
    def nothing(self) -> bool:
        answers = (self.user, self.history, *self.previews.values())
        return all(isinstance(answer, GatewayError) for answer in answers)


async def ask(gateway: Gateway, user_id: int, k: int, liked_here: Sequence[int] = ()) -> Answers:
    """liked_here: posts that are tried out as if the user liked them. Nothing is written."""
    async with asyncio.TaskGroup() as group:
        user = group.create_task(or_error(gateway.user(user_id)))
        history = group.create_task(or_error(gateway.history(user_id)))
        previews = {name: group.create_task(or_error(gateway.preview(name, user_id, k, liked_here))) for name in GROUPS}
        explanations = {
            name: group.create_task(or_error(gateway.explanations(name, user_id, k, liked_here))) for name in GROUPS
        }
        split = group.create_task(or_error(gateway.running()))
        rows = await history
        liked = [] if isinstance(rows, GatewayError) else liked_lately(rows)
        wanted = dict.fromkeys([*liked_here, *(row.post_id for row in liked)])
        posts = {post_id: group.create_task(or_error(gateway.post(post_id))) for post_id in wanted}
        reasons = {name: await task for name, task in explanations.items()}
        for post_id in _named(reasons.values()) - posts.keys():
            posts[post_id] = group.create_task(or_error(gateway.post(post_id)))
    running = split.result()
    return Answers(
        user=user.result(),
        history=rows,
        posts={post_id: task.result() for post_id, task in posts.items()},
        previews={name: task.result() for name, task in previews.items()},
        reasons={name: [] if isinstance(given, GatewayError) else given for name, given in reasons.items()},
        running=None if isinstance(running, GatewayError) else running,
    )


def _named(reasons: Iterable[list[Explanation] | GatewayError]) -> set[int]:
    """Liked posts by which models explain others."""
    known = [one for given in reasons if not isinstance(given, GatewayError) for one in given]
    return {one.like for one in known if one.like is not None}


def liked_lately(history: Sequence[FeedRow]) -> list[FeedRow]:
    """The latest like of each of the last few posts that the user liked, newest first."""
    latest: dict[int, FeedRow] = {}
    for row in history:
        if row.action == "like":
            latest.setdefault(row.post_id, row)
    return list(latest.values())[:LIKED_SHOWN]
