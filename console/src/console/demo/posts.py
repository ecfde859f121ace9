"""One post: its text, who saw and liked it last, and what either model takes for like it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.assignment import GROUPS, Group
from contracts.wire import AlikePosts, FeedRow, Message, Post

from console import words
from console.gateway import Gateway, GatewayError, or_error
from console.words import Fact

ALIKE = 5
LEDE = 140


class Alike(Message):
    post_id: int
    topic: str
    lede: str
    likeness: str


class AlikeColumn(Message):
    """note: why there are none."""

    group: Group
    version: str | None
    posts: list[Alike]
    note: str | None


class PostPage(Message):
    post: Post
    as_of: datetime
    facts: list[Fact]
    columns: list[AlikeColumn]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the gateway answered, or why it did not. texts: of alike posts, by id."""

    post: Post
    readers: list[FeedRow] | GatewayError
    alike: Mapping[Group, AlikePosts | GatewayError | None]
    texts: Mapping[int, Post | GatewayError | None]


async def ask_post(gateway: Gateway, post_id: int) -> Asked | None:
    """None for no such post. Raises GatewayError where the post itself cannot be read."""
    async with asyncio.TaskGroup() as group:
        post = group.create_task(or_error(gateway.post(post_id)))
        readers = group.create_task(or_error(gateway.readers(post_id)))
        alike = {name: group.create_task(or_error(gateway.alike(name, post_id, ALIKE))) for name in GROUPS}
    read, near = post.result(), {name: task.result() for name, task in alike.items()}
    if isinstance(read, GatewayError):
        raise read
    if read is None:
        return None
    known = [one.post_id for given in near.values() if isinstance(given, AlikePosts) for one in given.posts]
    return Asked(read, readers.result(), near, await _texts(gateway, dict.fromkeys(known)))


async def _texts(gateway: Gateway, ids: Mapping[int, None]) -> dict[int, Post | GatewayError | None]:
    async with asyncio.TaskGroup() as group:
        tasks = {post_id: group.create_task(or_error(gateway.post(post_id))) for post_id in ids}
    return {post_id: task.result() for post_id, task in tasks.items()}


def post_page_of(asked: Asked, now: datetime) -> PostPage:
    return PostPage(
        post=asked.post,
        as_of=now,
        facts=[Fact(label="Topic", value=asked.post.topic), *_read_by(asked.readers, now)],
        columns=[_column(group, asked.alike[group], asked.texts) for group in GROUPS],
    )


def _read_by(readers: Sequence[FeedRow] | GatewayError, now: datetime) -> list[Fact]:
    if isinstance(readers, GatewayError):
        return [Fact(label="Last events", value=f"cannot be read: the gateway {readers}")]
    if not readers:
        return [Fact(label="Last events", value="none yet")]
    likes = sum(row.action == "like" for row in readers)
    said = f"{words.count(likes, 'like', 'likes')}, {words.count(len(readers) - likes, 'view', 'views')}"
    return [
        Fact(label="Last events", value=said),
        Fact(label="Last seen", value=words.moment(readers[0].timestamp, now)),
    ]


def _column(
    group: Group, near: AlikePosts | GatewayError | None, texts: Mapping[int, Post | GatewayError | None]
) -> AlikeColumn:
    if isinstance(near, GatewayError):
        return AlikeColumn(group=group, version=None, posts=[], note=f"Cannot be read: the gateway {near}.")
    if near is None:
        return AlikeColumn(group=group, version=None, posts=[], note="This model does not know the post yet.")
    posts = [
        Alike(
            post_id=one.post_id,
            topic=post.topic,
            lede=words.excerpt(post.text, LEDE)[0],
            likeness=f"{one.likeness:.2f}",
        )
        for one in near.posts
        if isinstance(post := texts.get(one.post_id), Post)
    ]
    return AlikeColumn(group=group, version=near.version, posts=posts, note=None if posts else "No other post.")
