"""Who comes alone goes at once; who comes while a call is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from feature_service.serving.together import MOST, Together


class Doubling:
    """Answers each number doubled; raises for a batch with a negative one. calls: what was asked for together."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        await asyncio.sleep(0.01)
        if min(numbers) < 0:
            raise ValueError("negative")
        return [2 * number for number in numbers]


def test_who_comes_while_a_call_is_under_way_shares_the_next_one() -> None:
    doubling = Doubling()

    async def ask() -> list[int]:
        together = Together(doubling)
        return await asyncio.gather(*(together.ask(number) for number in range(2 * MOST + 2)))

    assert asyncio.run(ask()) == [2 * number for number in range(2 * MOST + 2)]
    assert [len(call) for call in doubling.calls] == [1, MOST, MOST, 1]


def test_who_comes_alone_waits_for_nobody() -> None:
    doubling = Doubling()

    async def ask() -> list[int]:
        together = Together(doubling)
        return [await together.ask(number) for number in range(3)]

    assert asyncio.run(ask()) == [0, 2, 4]
    assert doubling.calls == [[0], [1], [2]]


def test_a_failure_is_that_of_those_who_shared_the_call_and_of_nobody_later() -> None:
    async def ask() -> None:
        together = Together(Doubling())
        answers = await asyncio.gather(*(together.ask(number) for number in (1, 2, -3)), return_exceptions=True)
        assert answers[0] == 2
        assert all(isinstance(answer, ValueError) for answer in answers[1:])
        with pytest.raises(ValueError, match="negative"):
            await together.ask(-1)
        assert await together.ask(4) == 8

    asyncio.run(ask())


def test_a_caller_who_has_gone_keeps_nobody_from_an_answer() -> None:
    async def ask() -> None:
        together = Together(Doubling())
        first, second, third = (asyncio.create_task(together.ask(number)) for number in (1, 2, 3))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        assert await third == 6
        assert await together.ask(4) == 8

    asyncio.run(ask())
