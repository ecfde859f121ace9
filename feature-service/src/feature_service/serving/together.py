"""Calls that come while one is under way are made together, as one: group commit.

After DeWitt et al., "Implementation techniques for main memory database systems" (SIGMOD 1984), where transactions
share one write of the log; here requests also share the way to Redis and back. Nobody waits for company: alone one goes
at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 64
"""At once, so that Redis is held up by none of them for long."""


class Together(Generic[T, R]):
    def __init__(self, call: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        """call: answers each of several items, in their order; what it raises, each of their callers gets."""
        self._call = call
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._under_way = False
        self._others: asyncio.Task[None] | None = None

    async def ask(self, item: T) -> R:
        if self._under_way:
            answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
            self._waiting.append((item, answer))
            return await answer
        self._under_way = True
        try:
            return (await self._call([item]))[0]
        finally:
            self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._others = asyncio.create_task(self._ask_for_others())
        else:
            self._under_way, self._others = False, None

    async def _ask_for_others(self) -> None:
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            answers = await self._call([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  each caller gets it
            for _, future in batch:
                _settle(future, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                _settle(future, answer)
        finally:
            self._go_on()


def _settle(future: asyncio.Future[R], outcome: R | Exception) -> None:
    """Unless its caller has gone."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
