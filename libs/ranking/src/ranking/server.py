"""The one ranker server: a user's row in, the best post ids out. A ranker's folder says only which encoder it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, TypeVar

import httpx
from chassis.clients import http_client
from chassis.deadline import Deadline
from chassis.errors import InvalidParameter, Unavailable, invalid_parameter_from
from chassis.inner_door import internal_headers
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.experiments import EXPLORED
from contracts.records import BadRecordError, UserRow
from contracts.wire import POST_ID_MAX, Message
from fastapi import APIRouter, FastAPI
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ranking.explanations import Explainer
from ranking.model_loader import ModelLoader, ServedModel
from ranking.queue import ScoringQueue
from ranking.rules import Ruling
from ranking.scorer import BoundScorer, LoadEncoder
from ranking.settings import RankerSettings
from ranking.state import State, StateDep, state_of
from ranking.trying import after_likes

DEFAULT_DEADLINE_SECONDS = 1.0
TIME_MAX = 2**32 - 1
EXPLAINED_AT_ONCE = 20
"""An explanation costs as much as a ranking."""

router = APIRouter()


Ids = Annotated[str, Field(pattern=r"^[0-9]{1,10}(,[0-9]{1,10})*$", max_length=11 * EXPLAINED_AT_ONCE)]


class Query(Message):
    """time: for which to rank, seconds since the epoch; now if missing. liked: posts to rank as if the user had just
    liked them."""

    liked: Ids | None = None
    time: Annotated[int, Field(ge=0, le=TIME_MAX)] | None = None


class RankQuery(Query):
    """explored: how many posts follow the best ones, as `BoundScorer.rank` chooses them.

    rules: so many bytes of the body, behind the row, are `SlateRules` as JSON; what follows are the ids of posts that
    were shown, as `ranking.rules.Ruling` reads them.
    """

    limit: Annotated[int, Field(ge=1, le=100)] = 5
    explored: Annotated[int, Field(ge=0, le=EXPLORED)] = 0
    rules: Annotated[int, Field(ge=0)] = 0
    shown: Annotated[int, Field(ge=0)] = 0
    """Bytes too."""


class ExplainQuery(Query):
    """posts: which; those that `rank` answers without rules if missing."""

    posts: Ids | None = None
    limit: Annotated[int, Field(ge=1, le=EXPLAINED_AT_ONCE)] = 5


class SimilarQuery(Message):
    limit: Annotated[int, Field(ge=1, le=EXPLAINED_AT_ONCE)] = 5


AnyQuery = TypeVar("AnyQuery", bound=Message)


def create_ranker(name: str, load_encoder: LoadEncoder, settings: RankerSettings | None = None) -> FastAPI:
    """name: of the model in the store."""
    settings = settings or RankerSettings.read_or_exit()
    configure_logs(f"ranker-{name}", settings.log_level, settings.log_file)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            features: httpx.AsyncClient = await stack.enter_async_context(
                http_client(settings.features_url, timeout=10.0, headers=internal_headers(settings.internal_key))
            )
            served, queue, explainer = ServedModel(name), ScoringQueue(settings.max_queue), Explainer()
            stack.callback(queue.close)
            stack.callback(explainer.close)
            task = asyncio.create_task(ModelLoader(served, load_encoder, features, settings).run())
            stack.callback(task.cancel)
            yield State(served=served, queue=queue, explainer=explainer)

    return create_service(
        f"Lenta ranker-{name}",
        version=version("lenta-ranking"),
        lifespan=lifespan,
        routers=[router],
        checks={"model": _ready},
        warnings={"model": _stale},
        internal_key=settings.internal_key,
        metrics_address=settings.metrics_address,
    )


async def _ready(request: Request) -> str | None:
    return state_of(request)["served"].reason


async def _stale(request: Request) -> str | None:
    return state_of(request)["served"].stale


async def rank(request: Request) -> Response:
    """Query: `RankQuery`; body: a packed user row, and rules. Answers the best posts that the user has not liked, best
    first; with rules a pool of them.

    On the way of every recommendation: a bare route.
    """
    query, body = _query(request, RankQuery), await request.body()
    ruling, row = None, body
    if query.rules:
        row, rules, shown = _parts(body, query.rules, query.shown)
        ruling = _ruling(rules, shown)
    deadline = Deadline.of(request.headers, DEFAULT_DEADLINE_SECONDS)
    queue, bound = state_of(request)["queue"], _bound(state_of(request))
    user = _user(row, bound, query)
    ranking = await queue.rank(bound, user, _moment(query), query.limit, deadline, query.explored, ruling)
    return Response(ranking.model_dump_json(exclude_none=True), media_type="application/json")


async def explain(request: Request) -> Response:
    """Query: `ExplainQuery`; body: a packed user row. Answers why posts stand where they do."""
    query, body = _query(request, ExplainQuery), await request.body()
    bound = _bound(state_of(request))
    posts = None if query.posts is None else _ids(query.posts)
    deadline = Deadline.of(request.headers, DEFAULT_DEADLINE_SECONDS)
    explanations = await state_of(request)["explainer"].explain(
        bound, _user(body, bound, query), _moment(query), query.limit, deadline, posts
    )
    return Response(explanations.model_dump_json(), media_type="application/json")


async def similar(request: Request) -> Response:
    """Query: `SimilarQuery`. Answers the posts that the model sees as most like the one of the path."""
    query, number = _query(request, SimilarQuery), request.path_params["post"]
    if number > POST_ID_MAX:
        raise InvalidParameter(f"post: a whole number from 0 to {POST_ID_MAX}", field="post")
    deadline = Deadline.of(request.headers, DEFAULT_DEADLINE_SECONDS)
    alike = await state_of(request)["explainer"].alike(_bound(state_of(request)), number, query.limit, deadline)
    return Response(alike.model_dump_json(), media_type="application/json")


def _query(request: Request, kind: type[AnyQuery]) -> AnyQuery:
    try:
        return kind.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise invalid_parameter_from(error, "query") from error


def _user(packed: bytes, bound: BoundScorer, query: Query) -> UserRow:
    try:
        row = UserRow.unpack(packed)
    except BadRecordError as error:
        raise InvalidParameter(f"body: {error}", field="body") from error
    return row if query.liked is None else after_likes(row, bound.catalogue, _ids(query.liked), _moment(query))


def _ids(written: str) -> list[int]:
    return [int(post) for post in written.split(",")]


def _parts(body: bytes, rules: int, shown: int) -> tuple[bytes, bytes, bytes]:
    """The row, the rules, the ids of shown posts; so many bytes each."""
    row = len(body) - rules - shown
    if row < 0:
        raise InvalidParameter(f"body: {len(body)} bytes hold no rules of {rules} and {shown} bytes", field="body")
    return body[:row], body[row : row + rules], body[row + rules :]


def _ruling(rules: bytes, shown: bytes) -> Ruling:
    try:
        return Ruling.unpack(rules, shown)
    except ValidationError as error:
        raise invalid_parameter_from(error, "rules") from error
    except BadRecordError as error:
        raise InvalidParameter(f"body: {error}", field="body") from error


def _moment(query: Query) -> int:
    return int(time.time()) if query.time is None else query.time


router.add_route("/rank", rank, ["POST"])
router.add_route("/explain", explain, ["POST"])
router.add_route("/similar/{post:int}", similar, ["GET"])


@router.get("/model", response_class=Response)
async def model(state: StateDep) -> Response:
    """The manifest of the version in service."""
    return Response(_bound(state).scorer.manifest.model_dump_json(), media_type="application/json")


def _bound(state: State) -> BoundScorer:
    """Raises Unavailable while there is none."""
    served = state["served"]
    if served.bound is None:
        raise Unavailable(served.reason or "starting")
    return served.bound
