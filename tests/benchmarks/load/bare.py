"""The bare chain: what a recommendation costs at least when it is made of the same parts as Lenta's.

A user's row in one round trip, ranking by the published model on a thread of its own, the exposure durable in the log
and five texts read, an answer of the same bytes; three hops over HTTP on bare Starlette routes through aiohttp. No
metrics, no degradation, no deadlines, no checks of what comes in, no experiments but an even split.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import httpx
from contracts.catalogue import Catalogue
from contracts.records import UserRow, pack_row
from feature_service.keyspace.connection import connect_redis_async
from feature_service.keyspace.keys import log_key, shard_of
from feature_service.keyspace.scripts import APPEND, READ_ROW, READ_TEXTS, READ_VALUE
from ranker_control.encoder import TextEncoder
from ranker_test.encoder import TowerEncoder
from ranking.artefact import ModelStore
from ranking.hybrid import HybridEncoder
from ranking.scorer import BoundScorer, LoadEncoder, Scorer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SHARDS = 4
"""Of the platform whose Redis it is; feature-service's default."""
READY = Route("/readyz", lambda _: Response())
JSON = "application/json"


def feature_service() -> Starlette:
    async def row(request: Request) -> Response:
        profile, counts, hidden, _ = await request.state.row(args=[int(time.time()), request.path_params["user"]])
        return Response(pack_row(profile or b"", counts or b"", hidden or b""))

    async def exposures(request: Request) -> Response:
        body = await request.body()
        exposure = json.loads(body)
        entry = b'{"kind":"exposure","exposure":' + body + b"}"
        append = request.state.append(args=[log_key(shard_of(exposure["user_id"], SHARDS)), entry, "", 0, b""])
        _, texts = await asyncio.gather(append, request.state.texts(args=[int(time.time()), *exposure["posts"]]))
        return Response(b"[" + b",".join(texts) + b"]")

    async def catalogue(request: Request) -> Response:
        return Response(await request.state.value(args=["catalogue"]))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with connect_redis_async(os.environ["REDIS_URL"]) as client:
            scripts = {"row": READ_ROW, "append": APPEND, "texts": READ_TEXTS, "value": READ_VALUE}
            yield {name: client.register_script(script) for name, script in scripts.items()}

    routes = [
        READY,
        Route("/users/{user}/row", row),
        Route("/exposures", exposures, methods=["POST"]),
        Route("/catalogue", catalogue),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def ranker_control() -> Starlette:
    return _ranker("control", HybridEncoder.loader(TextEncoder.load))


def ranker_test() -> Starlette:
    return _ranker("test", HybridEncoder.loader(TowerEncoder.load))


def _ranker(name: str, load_encoder: LoadEncoder) -> Starlette:
    async def rank(request: Request) -> Response:
        row, bound = await request.body(), request.state.bound
        loop = asyncio.get_running_loop()
        return Response(await loop.run_in_executor(request.state.thread, _ranked, bound, row))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        with ThreadPoolExecutor(1) as thread:
            yield {"bound": _bound(name, load_encoder), "thread": thread}

    return Starlette(routes=[READY, Route("/rank", rank, methods=["POST"])], lifespan=lifespan)


def _ranked(bound: BoundScorer, row: bytes) -> bytes:
    ids, scores = bound.rank(UserRow.unpack(row), int(time.time()), 5)
    manifest = bound.scorer.manifest
    answer = {"model": manifest.name, "version": manifest.version, "posts": ids.tolist(), "scores": scores.tolist()}
    return json.dumps(answer).encode()


def _bound(name: str, load_encoder: LoadEncoder) -> BoundScorer:
    catalogue = Catalogue.unpack(httpx.get(f"{os.environ['FEATURE_SERVICE']}/catalogue").content)
    store = ModelStore(os.environ["MODEL_URI"])
    pointer = store.current(name)
    if pointer is None:
        raise SystemExit(f"no model {name} is published under {os.environ['MODEL_URI']}")
    with TemporaryDirectory() as folder:
        store.fetch(name, pointer.version, Path(folder))
        return Scorer.open(Path(folder), load_encoder).bind(catalogue)


def gateway() -> Starlette:
    async def recommendations(request: Request) -> Response:
        user, state = int(request.query_params["id"]), request.state
        group = ("control", "test")[user % 2]
        async with state.features.get(f"/users/{user}/row") as answer:
            row = await answer.read()
        async with state.rankers[group].post("/rank", data=row) as answer:
            ranking = json.loads(await answer.read())
        key = uuid.uuid4().hex
        exposure = json.dumps(_exposure(key, user, group, ranking)).encode()
        async with state.features.post("/exposures", data=exposure) as answer:
            posts = await answer.read()
        body = b'{"exp_group":"' + group.encode() + b'","recommendations":' + posts + b"}"
        model = f"{ranking['model']}@{ranking['version']}"
        return Response(body, headers={"X-Request-ID": key, "X-Model": model}, media_type=JSON)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            features, control, test = [
                await stack.enter_async_context(aiohttp.ClientSession(os.environ[name]))
                for name in ("FEATURE_SERVICE", "RANKER_CONTROL", "RANKER_TEST")
            ]
            yield {"features": features, "rankers": {"control": control, "test": test}}

    return Starlette(routes=[READY, Route("/post/recommendations/", recommendations)], lifespan=lifespan)


def _exposure(key: str, user: int, group: str, ranking: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "key": key,
        "user_id": user,
        "experiment": "models",
        "mode": "ab",
        "group": group,
        "ranker": group,
        "model": ranking["model"],
        "model_version": ranking["version"],
        "posts": ranking["posts"],
        "scores": ranking["scores"],
        "asked_for": now,
        "served_at": now,
    }
