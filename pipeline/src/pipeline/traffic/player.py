"""Plays the schedule in the order of the platform's time: many users at once, each user's requests in sequence."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

import numpy as np
from chassis.progress import OnProgress
from contracts.assignment import GROUPS
from contracts.wire import MAX_BATCH, Event

from pipeline.traffic.client import Door, Slate, TurnedAwayError
from pipeline.traffic.clock import Pace
from pipeline.traffic.preferences import Minds, hit_chance
from pipeline.traffic.schedule import Coming, Session
from pipeline.traffic.tally import Tally
from pipeline.world.feed import GAP_SECONDS, LIKE_AFTER_SECONDS

STEP_SECONDS = 0.02
"""Real time between two looks at the clock, and so between two batches of events."""
LATEST, STRAINED = 200, 0.02
"""This share of the latest answers may be degraded before the clock is slowed."""
PAIRED = 20
"""One request in so many is judged with both models' answers."""

Label = Callable[[int, Slate], str]
"""The name under which an answer to a user counts."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a session. left: how many follow in it; place: views of it so far."""

    user: int
    left: int
    place: int


class Player:
    """Likes are sent before their user asks again: what they liked must not come back."""

    def __init__(
        self,
        door: Door,
        pace: Pace,
        minds: Minds,
        coming: Coming,
        label: Label,
        rng: np.random.Generator,
        on_progress: OnProgress,
        tally: Tally,
        at_once: int = 8,
    ) -> None:
        self._door, self._pace, self._minds, self._coming = door, pace, minds, coming
        self._label, self._rng, self._on_progress = label, rng, on_progress
        self._free = asyncio.Semaphore(at_once)
        self._total = sum(session.requests for sessions in coming.values() for session in sessions)
        self._heap: list[tuple[datetime, int, Ask | Event]] = []
        self._numbers, self._requests = count(), count()
        self._due: list[Event] = []
        self._sending: asyncio.Task[None] | None = None
        self._unsent: dict[int, int] = {}
        self._sent = asyncio.Condition()
        self._asked = 0
        self._latest: deque[bool] = deque(maxlen=LATEST)
        self.tally = tally

    async def play(self) -> None:
        """Until the last event is taken; what happened is in the tally.

        Raises LentaError when the gateway is gone or refuses.
        """
        for user in self._coming:
            self._next_session(user)
        asking: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as group:
                while self._heap or asking or self._due or self._sending:
                    await self._start_due(group, asking)
                    self._send_due(group)
                    await asyncio.sleep(STEP_SECONDS)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _start_due(self, group: asyncio.TaskGroup, asking: set[asyncio.Task[None]]) -> None:
        while self._heap and self._pace.until(self._heap[0][0]) <= 0:
            due, _, what = heapq.heappop(self._heap)
            if isinstance(what, Event):
                self._due.append(what)
                continue
            self._send_due(group)
            await self._free.acquire()
            self._keep_pace(due)
            task = group.create_task(self._ask(what))
            asking.add(task)
            task.add_done_callback(asking.discard)

    @property
    def _strained(self) -> bool:
        """Whether too many of the latest answers were degraded, which means that the platform cannot keep up."""
        return len(self._latest) == LATEST and sum(self._latest) > LATEST * STRAINED

    def _keep_pace(self, due: datetime) -> None:
        """due: when the request should have been made that is made now."""
        if self._pace.is_late(due) or self._strained:
            if self._pace.slow(due):
                self._latest.clear()
        else:
            self._pace.speed_up()
        self.tally.slowest = min(self.tally.slowest, self._pace.speed)

    async def _ask(self, ask: Ask) -> None:
        try:
            async with self._sent:
                await self._sent.wait_for(lambda: not self._unsent.get(ask.user))
            await self._ask_now(ask)
        except TurnedAwayError:
            self.tally.turned_away += 1
            self._go_on(ask, self._pace.now(), ask.place)
        finally:
            self._free.release()
            self._asked += 1
            self._on_progress(self._asked, self._total)

    async def _ask_now(self, ask: Ask) -> None:
        pair = await self._pair(ask) if next(self._requests) % PAIRED == 0 else None
        slate = await self._door.ask(ask.user)
        at = self._pace.now()
        if pair:
            chances = [hit_chance(self._minds.chances(ask.user, seen.posts, at, ask.place)) for seen in pair]
            self.tally.pairs.append((chances[0], chances[1]))
        self.tally.shown_again += self._minds.likes_already(ask.user, slate.posts)
        self._latest.append(slate.degraded != "")
        expected = hit_chance(self._minds.chances(ask.user, slate.posts, at, ask.place))
        liked = self._minds.views(ask.user, slate.posts, at, ask.place)
        self.tally.answered(self._label(ask.user, slate), ask.user, slate.degraded, expected, int(liked.sum()))
        seen = last = at
        for post, likes in zip(slate.posts, liked, strict=True):
            seen += timedelta(seconds=int(self._rng.integers(GAP_SECONDS[0], GAP_SECONDS[1] + 1)))
            self._later(_event(slate, ask.user, post, "view", seen))
            last = max(last, seen)
            if likes:
                after = seen + timedelta(seconds=int(self._rng.integers(*LIKE_AFTER_SECONDS)))
                self._later(_event(slate, ask.user, post, "like", after))
                last = max(last, after)
        self._go_on(ask, last, ask.place + len(slate.posts))

    async def _pair(self, ask: Ask) -> list[Slate] | None:
        """Both models' answers; None where one of them is not the model's own."""
        slates = [await self._door.preview(group, ask.user) for group in GROUPS]
        return None if any(slate.degraded for slate in slates) else slates

    def _go_on(self, ask: Ask, seen: datetime, place: int) -> None:
        """The next request of the session, or the next session."""
        if ask.left:
            at = seen + timedelta(seconds=int(self._rng.integers(GAP_SECONDS[0], GAP_SECONDS[1] + 1)))
            self._push(at, Ask(ask.user, ask.left - 1, place))
        else:
            self._next_session(ask.user, seen)

    def _next_session(self, user: int, after: datetime | None = None) -> None:
        if self._coming[user]:
            session: Session = self._coming[user].popleft()
            at = max(session.at, after) if after is not None else session.at
            self._push(at, Ask(user, session.requests - 1, 0))

    def _later(self, event: Event) -> None:
        assert event.timestamp is not None
        self._unsent[event.user_id] = self._unsent.get(event.user_id, 0) + 1
        self._push(event.timestamp, event)

    def _push(self, at: datetime, what: Ask | Event) -> None:
        heapq.heappush(self._heap, (at, next(self._numbers), what))

    def _send_due(self, group: asyncio.TaskGroup) -> None:
        """One batch at a time, so that a like never overtakes its view."""
        if self._due and self._sending is None:
            self._sending = group.create_task(self._send())

    async def _send(self) -> None:
        while self._due:
            batch, self._due = self._due[:MAX_BATCH], self._due[MAX_BATCH:]
            await self._until_taken(batch)
            self.tally.events += len(batch)
            async with self._sent:
                for event in batch:
                    self._unsent[event.user_id] -= 1
                self._sent.notify_all()
        self._sending = None

    async def _until_taken(self, batch: list[Event]) -> None:
        while True:
            try:
                return await self._door.send(batch)
            except TurnedAwayError:
                self.tally.turned_away += 1


def _event(slate: Slate, user: int, post: int, action: str, at: datetime) -> Event:
    key = f"{slate.key}-{post}-{action}"
    return Event.model_validate(
        {
            "key": key,
            "user_id": user,
            "post_id": post,
            "action": action,
            "timestamp": at,
            "request_id": slate.key,
        }
    )
