"""The one ranker server: a user's row in, the best post ids out. A ranker's folder says only which encoder it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, TypedDict

import httpx
from chassis.clients import http_client
from chassis.deadline import Deadline
from chassis.errors import InvalidParameter, Unavailable, invalid_parameter_from
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.experiments import EXPLORED
from contracts.records import BadRecordError, UserRow
from contracts.wire import Message, Ranking
from fastapi import APIRouter, FastAPI
from prometheus_client import Counter, Histogram
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ranking.explaining import Explaining
from ranking.loading import Loaded, Loading
from ranking.scorer import BoundScorer, LoadEncoder
from ranking.settings import RankerSettings

SCORE_SECONDS = Histogram(
    "ranker_score_seconds",
    "Time to rank one user, without waiting.",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05),
)
SHED = Counter("ranker_shed_total", "Requests refused because too many waited or their time was up.")
DEFAULT_DEADLINE_SECONDS = 1.0
PACE_WEIGHT = 0.1
"""What the latest ranking weighs in the running mean."""
TIME_MAX = 2**32 - 1
EXPLAINED_AT_ONCE = 20
"""An explanation costs as much as a ranking."""

router = APIRouter()


class Wanted(Message):
    """time: for which to rank, seconds since the epoch; now if missing."""

    time: Annotated[int, Field(ge=0, le=TIME_MAX)] | None = None
    limit: Annotated[int, Field(ge=1, le=100 + EXPLORED)] = 5


class Explained(Wanted):
    limit: Annotated[int, Field(ge=1, le=EXPLAINED_AT_ONCE)] = 5


class State(TypedDict):
    loaded: Loaded
    queue: Queue
    explaining: Explaining


class Queue:
    """One scoring thread, and a bound on who waits for it: the event loop never computes."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._waiting = max_waiting, 0
        self._pace = 0.0
        """Seconds a ranking takes, as a running mean."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")

    async def rank(self, bound: BoundScorer, row: UserRow, now: int, limit: int, deadline: Deadline) -> Ranking:
        """Raises Unavailable when too many wait, or the caller's time is up or would be before his turn."""
        if self._waiting >= self._max_waiting:
            raise _shed("too many requests wait")
        if self._waiting * self._pace >= deadline.remaining():  # nobody waiting: tried, however slow the last one was
            raise _shed("the deadline would pass before ranking begins")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._rank, bound, row, now, limit, deadline
            )
        finally:
            self._waiting -= 1

    def _rank(self, bound: BoundScorer, row: UserRow, now: int, limit: int, deadline: Deadline) -> Ranking:
        if deadline.remaining() <= 0:
            raise _shed("the deadline passed before ranking began")
        started = time.perf_counter()
        ids, scores = bound.rank(row, now, limit)
        seconds = time.perf_counter() - started
        SCORE_SECONDS.observe(seconds)
        self._pace += PACE_WEIGHT * (seconds - self._pace)
        manifest = bound.scorer.manifest
        return Ranking(model=manifest.name, version=manifest.version, posts=ids.tolist(), scores=scores.tolist())

    def close(self) -> None:
        self._thread.shutdown()


def _shed(why: str) -> Unavailable:
    SHED.inc()
    return Unavailable(why)


def create_ranker(name: str, load_encoder: LoadEncoder, settings: RankerSettings | None = None) -> FastAPI:
    """name: of the model in the store."""
    settings = settings or RankerSettings.read_or_exit()
    configure_logs(f"ranker-{name}", settings.log_level)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            features: httpx.AsyncClient = await stack.enter_async_context(
                http_client(settings.features_url, timeout=10.0)
            )
            loaded, queue, explaining = Loaded(name), Queue(settings.max_queue), Explaining()
            stack.callback(queue.close)
            stack.callback(explaining.close)
            task = asyncio.create_task(Loading(loaded, load_encoder, features, settings).run())
            stack.callback(task.cancel)
            yield State(loaded=loaded, queue=queue, explaining=explaining)

    return create_service(
        f"Lenta ranker-{name}",
        version=version("lenta-ranking"),
        lifespan=lifespan,
        routers=[router],
        checks={"model": _ready},
        warnings={"model": _stale},
    )


async def _ready(request: Request) -> str | None:
    loaded: Loaded = request.state.loaded
    return loaded.reason


async def _stale(request: Request) -> str | None:
    loaded: Loaded = request.state.loaded
    return loaded.stale


async def rank(request: Request) -> Response:
    """Query: `Wanted`; body: a packed user row. Answers the best posts that the user has not liked, best first.

    On the way of every recommendation: a bare route.
    """
    bound, row, wanted = await _asked(request, Wanted)
    deadline = Deadline.of(request.headers, DEFAULT_DEADLINE_SECONDS)
    queue: Queue = request.state.queue
    ranking = await queue.rank(bound, row, _moment(wanted), wanted.limit, deadline)
    return Response(ranking.model_dump_json(), media_type="application/json")


async def explain(request: Request) -> Response:
    """Query: `Explained`; body: a packed user row. Answers why the posts of `rank` stand where they do."""
    bound, row, wanted = await _asked(request, Explained)
    deadline = Deadline.of(request.headers, DEFAULT_DEADLINE_SECONDS)
    explaining: Explaining = request.state.explaining
    explanations = await explaining.best(bound, row, _moment(wanted), wanted.limit, deadline)
    return Response(explanations.model_dump_json(), media_type="application/json")


async def _asked(request: Request, kind: type[Wanted]) -> tuple[BoundScorer, UserRow, Wanted]:
    try:
        wanted = kind.model_validate(dict(request.query_params))
        row = UserRow.unpack(await request.body())
    except ValidationError as error:
        raise invalid_parameter_from(error, "query") from error
    except BadRecordError as error:
        raise InvalidParameter(f"body: {error}", field="body") from error
    loaded: Loaded = request.state.loaded
    if loaded.bound is None:
        raise Unavailable(loaded.reason or "starting")
    return loaded.bound, row, wanted


def _moment(wanted: Wanted) -> int:
    return int(time.time()) if wanted.time is None else wanted.time


router.add_route("/rank", rank, ["POST"])
router.add_route("/explain", explain, ["POST"])


@router.get("/model", response_class=Response)
async def model(request: Request) -> Response:
    """The manifest of the version in service."""
    loaded: Loaded = request.state.loaded
    if loaded.bound is None:
        raise Unavailable(loaded.reason or "starting")
    return Response(loaded.bound.scorer.manifest.model_dump_json(), media_type="application/json")
