"""The gateway as a user's phone sees it: ask, send events; ask again when told to come later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx
from contracts.assignment import Group
from contracts.headers import API_KEY, DEGRADED, REQUEST_ID
from contracts.wire import Event, EventBatch, Post, Recommendations
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import LentaError
from pipeline.traffic.schedule import POSTS

TRIES = 5
PAUSE_SECONDS = 0.3
Answer = TypeVar("Answer")
_posts = TypeAdapter(list[Post])


class TurnedAwayError(Exception):
    """The gateway is up, but sheds the call for now."""


@dataclass(frozen=True, slots=True)
class Slate:
    """An answer. key: names it in events and in the exposure log."""

    key: str
    group: Group
    posts: list[int]
    degraded: str


class Door:
    def __init__(self, http: httpx.AsyncClient, api_key: str) -> None:
        self._http, self._headers = http, {API_KEY: api_key}

    async def ask(self, user: int) -> Slate:
        """Raises TurnedAwayError when the gateway sheds it again and again, LentaError when it is not there."""
        response = await self._call("GET", "/post/recommendations/", {"id": user, "limit": POSTS})
        answer = _read(Recommendations.model_validate_json, response)
        posts = [post.id for post in answer.recommendations]
        return Slate(response.headers[REQUEST_ID], answer.exp_group, posts, response.headers.get(DEGRADED, ""))

    async def preview(self, group: Group, user: int) -> Slate:
        """What one model would show the user. Not an exposure. Raises as `ask` does."""
        response = await self._call("GET", f"/{group}/post/recommendations/", {"id": user, "limit": POSTS})
        posts = [post.id for post in _read(_posts.validate_json, response)]
        return Slate(response.headers[REQUEST_ID], group, posts, response.headers.get(DEGRADED, ""))

    async def send(self, events: Sequence[Event]) -> None:
        """Until they are taken: an event's key makes it safe to send it twice. Raises as `ask` does."""
        body = EventBatch(events=list(events)).model_dump_json()
        await self._call("POST", "/events", content=body.encode())

    async def _call(
        self, method: str, path: str, params: Mapping[str, int] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        said = ""
        headers = self._headers | ({"Content-Type": "application/json"} if content is not None else {})
        for attempt in range(TRIES):
            await asyncio.sleep(attempt * PAUSE_SECONDS)
            try:
                response = await self._http.request(
                    method, path, params=dict(params or {}), content=content, headers=headers
                )
            except httpx.TransportError as error:
                said = f"{type(error).__name__} {error}".strip()
                continue
            if response.is_success:
                return response
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                raise LentaError(f"{method} {path}: the gateway answered {response.status_code}: {response.text[:200]}")
            said = "503"
            await asyncio.sleep(min(float(response.headers.get("Retry-After", 0)), 2.0))
        if said != "503":
            raise LentaError(f"{method} {path}: the gateway does not answer ({said}); see `lenta status`")
        raise TurnedAwayError(path)


def _read(parse: Callable[[bytes], Answer], response: httpx.Response) -> Answer:
    try:
        return parse(response.content)
    except ValidationError as error:
        raise LentaError(f"{response.url}: not the answer of a gateway: {response.text[:200]}") from error
