"""The gateway's public calls, each with a time limit.

GatewayError
 |- GatewayUnavailable   no answer in time, no connection, a 429 or a 5xx: says so in words, and is no bug of ours
 |- KeyRefused           401 or 403: the key is not one that opens this call
 |- ChangeRefused        409 or 422: what an experiment's editor asked for cannot be; says why and names the field
 |- UnreadableAnswer     an answer that the API does not promise: a bug, logged as one
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import structlog
from contracts.assignment import Group
from contracts.clock import REAL, Clock
from contracts.experiments import Edit, ExperimentPage, RunningExperiments
from contracts.headers import API_KEY, COLD_START, DEGRADED, MODEL
from contracts.reports import ExperimentLine, Reach, Report, RunLine
from contracts.rules import RulesEdit, RuleSet, RulesPage
from contracts.wire import AlikePosts, Explanation, FeedRow, Post, Problem, User
from pydantic import TypeAdapter, ValidationError

from console.words import duration

log = structlog.get_logger()

PREVIEWS_AT_ONCE = 2
HISTORY_ROWS = 100

T = TypeVar("T")
_USER, _POST = TypeAdapter(User), TypeAdapter(Post)
_POSTS, _ROWS = TypeAdapter(list[Post]), TypeAdapter(list[FeedRow])
_EXPLANATIONS = TypeAdapter(list[Explanation])
_LINES, _RUNS = TypeAdapter(list[ExperimentLine]), TypeAdapter(list[RunLine])
_ALIKE = TypeAdapter(AlikePosts)
_RUNNING = TypeAdapter(RunningExperiments)
_RULE_SETS, _RULES = TypeAdapter(list[RuleSet]), TypeAdapter(RulesPage)
_REACH = TypeAdapter(Reach)
_REPORT, _EXPERIMENT = TypeAdapter(Report), TypeAdapter(ExperimentPage)


class GatewayError(Exception):
    """Its text completes a sentence whose subject is what was asked: "did not answer in 1 s"."""


class GatewayUnavailable(GatewayError):
    pass


class UnreadableAnswer(GatewayError):
    pass


class KeyRefused(GatewayError):
    pass


class ChangeRefused(GatewayError):
    """is_late: somebody else changed the experiment first, or it is locked (409)."""

    def __init__(self, message: str, *, field: str | None, is_late: bool) -> None:
        super().__init__(message)
        self.field, self.is_late = field, is_late


@dataclass(frozen=True, slots=True)
class Preview:
    """One model's posts in rank order."""

    posts: tuple[Post, ...]
    model: str
    version: str
    degraded: tuple[str, ...]
    """Why the answer is not the model's own; empty when it is."""
    cold_start: bool
    seconds: float
    """From the console's question to the whole answer."""


class Gateway:
    """`read_timeout`, `preview_timeout`: seconds for a call as a whole."""

    def __init__(
        self, client: httpx.AsyncClient, *, read_timeout: float, preview_timeout: float, api_key: str = ""
    ) -> None:
        self._client, self._api_key = client, api_key
        self._read_timeout, self._preview_timeout = read_timeout, preview_timeout
        self._previews = asyncio.Semaphore(PREVIEWS_AT_ONCE)

    async def user(self, user_id: int) -> User | None:
        """None for a user without a profile. Raises GatewayError, as all calls here do."""
        response = await self._get(f"/user/{user_id}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _USER)

    async def post(self, post_id: int) -> Post | None:
        response = await self._get(f"/post/{post_id}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _POST)

    async def history(self, user_id: int) -> list[FeedRow]:
        """The user's latest rows of the feed, newest first, at most HISTORY_ROWS."""
        response = await self._get(f"/user/{user_id}/feed", {"limit": HISTORY_ROWS}, self._read_timeout)
        return _read(response, _ROWS)

    async def preview(self, group: Group, user_id: int, k: int, liked: Sequence[int] = ()) -> Preview:
        """What the group's model would show; recorded nowhere. At most two are asked at once, over all pages.

        liked: as if the user had just liked these posts too.
        """
        async with self._slot():
            started = time.perf_counter()
            path = f"/{group}/post/recommendations/"
            response = await self._get(path, _asked_for(user_id, k, liked), self._preview_timeout)
            seconds = time.perf_counter() - started
        posts = _read(response, _POSTS)
        name, _, version = response.headers.get(MODEL, "").partition("@")
        return Preview(
            posts=tuple(posts),
            model=name,
            version=version,
            degraded=tuple(part.strip() for part in response.headers.get(DEGRADED, "").split(",") if part.strip()),
            cold_start=response.headers.get(COLD_START) == "1",
            seconds=seconds,
        )

    async def explanations(self, group: Group, user_id: int, k: int, liked: Sequence[int] = ()) -> list[Explanation]:
        """The group's model's reasons, by post. A preview too: recorded nowhere, and one of the two at once."""
        async with self._slot():
            path = f"/{group}/post/explanations/"
            response = await self._get(path, _asked_for(user_id, k, liked), self._preview_timeout)
        return [] if response.status_code == 404 else _read(response, _EXPLANATIONS)

    async def alike(self, group: Group, post_id: int, k: int) -> AlikePosts | None:
        """None for a post that the group's model does not know."""
        response = await self._get(f"/{group}/post/{post_id}/similar", {"limit": k}, self._preview_timeout)
        return None if response.status_code == 404 else _read(response, _ALIKE)

    async def readers(self, post_id: int) -> list[FeedRow]:
        """The latest views and likes of the post, newest first, at most HISTORY_ROWS."""
        response = await self._get(f"/post/{post_id}/feed", {"limit": HISTORY_ROWS}, self._read_timeout)
        return _read(response, _ROWS)

    async def running(self) -> RunningExperiments:
        """What users are split by now, and the platform's clock."""
        return _read(await self._get("/running", {}, self._read_timeout), _RUNNING)

    async def experiments(self) -> list[ExperimentLine]:
        return _read(await self._get("/experiments", {}, self._read_timeout), _LINES)

    async def experiment(self, name: str) -> ExperimentPage | None:
        response = await self._get(f"/experiments/{name}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _EXPERIMENT)

    async def report(self, name: str, run: int | None = None) -> Report | None:
        """Of the newest run, or of the one named. None where there is no such experiment or run."""
        params: dict[str, str | int] = {} if run is None else {"run": run}
        response = await self._get(f"/experiments/{name}/report", params, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _REPORT)

    async def reach(self, name: str) -> Reach | None:
        """What its plan can show; None where there is no such experiment."""
        response = await self._get(f"/experiments/{name}/reach", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _REACH)

    async def runs(self, name: str) -> list[RunLine]:
        response = await self._get(f"/experiments/{name}/runs", {}, self._read_timeout)
        return [] if response.status_code == 404 else _read(response, _RUNS)

    async def rule_sets(self) -> list[RuleSet]:
        return _read(await self._get("/rules", {}, self._read_timeout), _RULE_SETS)

    async def rules_page(self, name: str) -> RulesPage | None:
        """None for a set that nobody has saved."""
        response = await self._get(f"/rules/{name}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _RULES)

    async def change_rules(self, name: str, edit: RulesEdit, admin_key: str) -> RulesPage:
        """Raises KeyRefused, ChangeRefused."""
        response = await self._put(f"/rules/{name}", edit.model_dump_json(), admin_key)
        if response.status_code in (409, 422):
            raise _refusal(response)
        return _read(response, _RULES)

    async def change(self, name: str, edit: Edit, admin_key: str) -> ExperimentPage:
        """Raises KeyRefused, ChangeRefused."""
        response = await self._put(f"/experiments/{name}", edit.model_dump_json(exclude_unset=True), admin_key)
        if response.status_code in (409, 422):
            raise _refusal(response)
        return _read(response, _EXPERIMENT)

    async def is_admin(self, key: str) -> bool:
        """Whether the key may change experiments. Asked by an empty change, which can never be applied."""
        try:
            response = await self._put("/experiments/none", "{}", key)
        except KeyRefused:
            return False
        if response.status_code not in (404, 409, 422):
            raise UnreadableAnswer("gave an answer that the console cannot read")
        return True

    async def _put(self, path: str, body: str, key: str) -> httpx.Response:
        headers = {API_KEY: key, "Content-Type": "application/json"}
        return await self._asked("PUT", path, {}, self._read_timeout, headers, body)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """A slot among the running previews; waiting for it has a limit of its own."""
        try:
            async with asyncio.timeout(self._read_timeout):
                await self._previews.acquire()
        except TimeoutError as error:
            raise GatewayUnavailable("was not asked, because other previews are waiting") from error
        try:
            yield
        finally:
            self._previews.release()

    async def _get(self, path: str, params: Mapping[str, str | int], seconds: float) -> httpx.Response:
        return await self._asked("GET", path, params, seconds, {API_KEY: self._api_key} if self._api_key else {})

    async def _asked(
        self, method: str, path: str, params: Mapping[str, str | int], seconds: float, headers: Mapping[str, str],
        body: str | None = None,
    ) -> httpx.Response:  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(
                    method, path, params=dict(params), headers=dict(headers), content=body
                )
        except (TimeoutError, httpx.TimeoutException) as error:
            raise GatewayUnavailable(f"did not answer in {duration(seconds)}") from error
        except httpx.TransportError as error:
            raise GatewayUnavailable("could not be reached") from error
        if response.status_code in (401, 403):
            raise KeyRefused("refuses the key")
        if response.status_code == 429:
            raise GatewayUnavailable("is asked too often; try again in a few seconds")
        if response.status_code >= 500:
            raise GatewayUnavailable(f"answered {response.status_code}")
        return response


def _asked_for(user_id: int, k: int, liked: Sequence[int]) -> dict[str, str | int]:
    asked: dict[str, str | int] = {"id": user_id, "limit": k}
    return asked | {"liked": ",".join(map(str, liked))} if liked else asked


def _refusal(response: httpx.Response) -> ChangeRefused:
    late = response.status_code == 409
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return ChangeRefused("the change was refused", field=None, is_late=late)
    return ChangeRefused(problem.message, field=problem.field, is_late=late)


def unreadable(error: GatewayError) -> str:
    """Why a page has no data, as a sentence."""
    if isinstance(error, KeyRefused):
        return "The gateway refuses the console’s key: set CONSOLE_API_KEY to one of its API keys."
    return f"The gateway {error}."


async def or_error(call: Awaitable[T]) -> T | GatewayError:
    """For a page that says in the data's place what could not be read."""
    try:
        return await call
    except GatewayError as error:
        return error


async def platform_clock(gateway: Gateway) -> Clock:
    """Real time where the gateway does not say."""
    running = await or_error(gateway.running())
    return REAL if isinstance(running, GatewayError) else running.clock


def _read(response: httpx.Response, shape: TypeAdapter[T]) -> T:
    try:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        return shape.validate_json(response.content)
    except (ValidationError, ValueError) as error:
        log.exception("unreadable_answer", path=response.request.url.path, status=response.status_code)
        raise UnreadableAnswer("gave an answer that the console cannot read") from error
