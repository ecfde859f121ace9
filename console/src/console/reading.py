"""Asks the gateway for everything that the demo page shows: independent calls together, liked texts after them."""

from __future__ import annotations

import asyncio
from datetime import datetime

from contracts.assignment import GROUPS
from contracts.wire import Post

from console.demo import Demo, Found, Query, assemble, liked_lately
from console.gateway import Gateway, GatewayError, or_error


async def read_demo(gateway: Gateway, query: Query, now: datetime) -> Demo:
    """Never fails: whatever could not be read is said in its place."""
    if query.user is None:
        return Demo(query=query, as_of=now)
    return assemble(query, query.user, await _find(gateway, query.user, query.k), now)


async def _find(gateway: Gateway, user_id: int, k: int) -> Found:
    async with asyncio.TaskGroup() as group:
        user = group.create_task(or_error(gateway.user(user_id)))
        history = group.create_task(or_error(gateway.history(user_id)))
        previews = {name: group.create_task(or_error(gateway.preview(name, user_id, k))) for name in GROUPS}
        reasons = {name: group.create_task(or_error(gateway.explanations(name, user_id, k))) for name in GROUPS}
        split = group.create_task(or_error(gateway.running()))
        rows = await history
        liked = [] if isinstance(rows, GatewayError) else liked_lately(rows)
        posts = {row.post_id: group.create_task(or_error(gateway.post(row.post_id))) for row in liked}
    found: dict[int, Post | GatewayError | None] = {post_id: task.result() for post_id, task in posts.items()}
    given = {name: task.result() for name, task in reasons.items()}
    running = split.result()
    return Found(
        user=user.result(),
        history=rows,
        posts=found,
        previews={name: task.result() for name, task in previews.items()},
        reasons={name: [] if isinstance(one, GatewayError) else one for name, one in given.items()},
        running=None if isinstance(running, GatewayError) else running,
    )
