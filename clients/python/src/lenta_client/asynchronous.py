"""The client that is awaited. Tasks of one event loop may share one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from math import inf
from types import TracebackType
from typing import Self, TypeVar

import httpx

from lenta_client import calls
from lenta_client.calls import MAX_BATCH, Call
from lenta_client.errors import InvalidParameter, LentaError, Unavailable
from lenta_client.messages import Answer, Event, OwnValue, Page, Post, Profile
from lenta_client.options import Options, log
from lenta_client.outbox import Outbox
from lenta_client.waits import Waits

T = TypeVar("T")


class AsyncLenta:
    """Use it by `async with`, or close it: closing sends what waits. Every call raises LentaError.

    Events are sent by a task, in batches; it starts with the first event.
    """

    def __init__(self, url: str, key: str | None = None, options: Options | None = None) -> None:
        """url: of the gateway. key: opens sending events, users and posts."""
        self._options = options or Options()
        self._http = httpx.AsyncClient(base_url=url, headers=calls.headers(key), timeout=self._options.timeout)
        self._outbox = Outbox(self._options.most_waiting)
        self._sending = asyncio.Lock()
        self._some, self._full, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def recommend(self, user_id: int, limit: int = 5, time: datetime | None = None) -> Answer:
        """Posts that the user will most likely like. For a user in an experiment the answer is an exposure."""
        return await self._ask(calls.recommend(user_id, limit, time))

    async def preview(self, group: str, user_id: int, limit: int = 5, time: datetime | None = None) -> Answer:
        """What one model, `control` or `test`, would show. Not an exposure."""
        return await self._ask(calls.preview(group, user_id, limit, time))

    async def user(self, user_id: int) -> Profile:
        return await self._ask(calls.user(user_id))

    async def post(self, post_id: int) -> Post:
        return await self._ask(calls.post(post_id))

    async def user_feed(self, user_id: int, limit: int = 10, cursor: str | None = None) -> Page:
        """What the user viewed and liked."""
        return await self._ask(calls.user_feed(user_id, limit, cursor))

    async def post_feed(self, post_id: int, limit: int = 10, cursor: str | None = None) -> Page:
        """Who viewed and liked the post."""
        return await self._ask(calls.post_feed(post_id, limit, cursor))

    async def put_user(self, user_id: int, profile: Profile) -> None:
        """Registers a user, or replaces the profile. Durable once it returns."""
        await self._ask(calls.put_user(user_id, profile))

    async def put_post(
        self,
        post_id: int,
        text: str,
        topic: str,
        own: Mapping[str, OwnValue] | None = None,
        expires: datetime | None = None,
    ) -> None:
        """Publishes a post, or replaces it. Durable once it returns.

        own: columns that your mapping file declares. expires: from when on nobody is shown it.
        """
        await self._ask(calls.put_post(post_id, text, topic, own, expires))

    async def delete_post(self, post_id: int) -> None:
        """Takes a post down: gone from the very next answer."""
        await self._ask(calls.delete_post(post_id))

    async def delete_user(self, user_id: int) -> None:
        """Forgets a user: the next answer is a stranger's, rows follow within seconds."""
        await self._ask(calls.delete_user(user_id))

    def send(self, *events: Event) -> None:
        """Returns at once; they go within `linger` seconds. Raises OutboxFull, and RuntimeError once it is closed."""
        if self._closing.is_set():
            raise RuntimeError("the client is closed, and nobody would send them")
        self._outbox.add(events)
        self._start()
        self._some.set()
        if len(self._outbox) >= MAX_BATCH:
            self._full.set()

    async def flush(self) -> None:
        """Returns once the gateway holds durably all events that were sent before: its next answer honours them."""
        await self._deliver(self._options.event_patience)

    async def aclose(self) -> None:
        """Sends what waits. Raises LentaError, and events are lost, where that cannot be done within its patience."""
        self._closing.set()
        self._some.set()
        self._full.set()
        if self._worker is not None:
            await asyncio.wait([self._worker])
        try:
            await self.flush()
        finally:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, call: Call[T], patience: float | None = None) -> T:
        waits = Waits(self._options.patience if patience is None else patience)
        while True:
            try:
                return await self._attempt(call)
            except Unavailable as error:
                await asyncio.sleep(waits.after(error))

    async def _attempt(self, call: Call[T]) -> T:
        try:
            response = await self._http.send(call.sent_by(self._http))
        except httpx.RequestError as error:
            raise calls.unanswered(self._http.base_url, error) from error
        return call.answer(response)

    async def _deliver(self, patience: float) -> None:
        """What waits now; not what comes meanwhile."""
        async with self._sending:
            left = len(self._outbox)
            while left > 0:
                left -= await self._deliver_batch(patience)

    async def _deliver_batch(self, patience: float) -> int:
        """How many have left the outbox."""
        batch = self._outbox.batch()
        try:
            await self._ask(calls.events(batch), patience)
        except InvalidParameter as error:
            self._options.on_refused(self._outbox.refused(error), error)
            return 1
        self._outbox.sent(len(batch))
        return len(batch)

    def _start(self) -> None:
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="lenta-events")

    async def _work(self) -> None:
        waits = Waits(inf)
        while True:
            await self._some.wait()
            await _set_within(self._full, self._options.linger)
            if self._closing.is_set():
                return  # what is left is closing's
            self._some.clear()
            self._full.clear()
            try:
                await self._deliver(patience=0)
                waits = Waits(inf)
            except LentaError as error:
                log.warning("%d events wait: %s", len(self._outbox), error)
                self._some.set()
                await _set_within(self._closing, waits.after(error))


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Returns once it is set, or after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
