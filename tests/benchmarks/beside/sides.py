"""Each side of the comparison, up and ready, with the requests that it is asked."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import httpx
import numpy as np
import psutil
import redis
from catboost import CatBoost
from chassis.inner_door import internal_headers
from contracts.catalogue import Catalogue
from feature_service.keyspace.keys import GENERATION, Keys
from pipeline.home import Home
from pipeline.stack.binaries import redis_program
from pipeline.stack.memory import pss_bytes
from pipeline.stack.processes import Processes
from pipeline.stack.servers import HOST, free_port
from ranking.artefact import ModelStore
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from pipeline import environment
from tests.benchmarks.beside.started import started
from tests.benchmarks.load.generator import Target
from tests.benchmarks.load.sides import Stores, bare_chain, filled_platform

HERE = Path(__file__).parents[3]
GUESTS = Path(__file__).with_name("guests")
USERS = range(200, 480)
FEATURES = [f"user_row:f{number}" for number in range(50)]
ROWS = 100
RECOMMENDATION, ONE_ROW, MANY_ROWS, SCORES = (
    "five posts with their texts",
    "a user's row",
    "100 rows",
    "scores of 100 rows",
)
"""What is compared. A side answers one or more of them."""


class Asked(Target):
    """One of some requests that were made before, so that making them costs nothing meanwhile."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        super().__init__(HOST, port, range(len(requests)), random.Random(port))
        self._requests = requests

    def request(self) -> bytes:
        return self.rng.choice(self._requests)


@dataclass(frozen=True)
class Side:
    """ways: how it is asked, by what is compared. rows: in an answer. megabytes: PSS of all its processes, now."""

    name: str
    ways: Mapping[str, Asked]
    megabytes: Callable[[], float]
    start_seconds: float | None = None
    bytes_a_user: float | None = None
    rows: int = 1
    note: str = ""


@dataclass
class Sides:
    """errors: of peers that do not run here, by name."""

    all: list[Side] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


@contextmanager
def every_side(home: Path, world: str, peers: Path) -> Iterator[Sides]:
    sides = Sides()
    with ExitStack() as stack:
        stores, lenta = stack.enter_context(_lenta(home, world))
        sides.all += lenta
        sides.all.append(stack.enter_context(_bare(stores)))
        sides.all.append(stack.enter_context(_monolith(home, stores)))
        model = _model(stores)
        for name, starts in {"feast": _feast, "mlserver": _mlserver, "bentoml": _bentoml}.items():
            if (reason := _missing(peers, name)) is not None:
                sides.errors[name] = reason
                continue
            folder = home / "beside" / name
            folder.mkdir(parents=True, exist_ok=True)
            sides.all += stack.enter_context(starts(peers / name / "bin", folder, model))
        yield sides


@contextmanager
def _lenta(home: Path, world: str) -> Iterator[tuple[Stores, list[Side]]]:
    """The whole platform as one side; a service by itself where a peer does no more than it."""
    if not environment.read(Home(home)):
        with filled_platform(home, world):
            print(f"{home} is filled", file=sys.stderr)
    began = time.monotonic()
    with filled_platform(home, world) as (stores, chain):
        seconds = time.monotonic() - began
        running = Processes.read(Home(home)).running
        key = internal_headers(environment.read(Home(home))["LENTA_INTERNAL_KEY"])
        features, ranker = running["feature-service"].port, running["ranker-control"].port
        with httpx.Client(base_url=f"http://{HOST}:{features}", headers=key) as http:
            rows = [http.get(f"/users/{user}/row").raise_for_status().content for user in USERS]
            posts = len(Catalogue.unpack(http.get("/catalogue").raise_for_status().content))
        whole = Side(
            "Lenta",
            {RECOMMENDATION: _recommendations(chain.port)},
            lambda: _held(running.keys(), home),
            seconds,
            _bytes_a_user(stores.redis_url),
            note="the whole platform: gateway, feature-service, ingest, two rankers, console, Postgres, Redis",
        )
        serving = Side(
            "Lenta's feature-service",
            {ONE_ROW: Asked(features, [_get(f"/users/{user}/row", key) for user in USERS])},
            lambda: _held(["feature-service", "redis"], home),
            None,
            whole.bytes_a_user,
            note="a user's profile, counts by topic, hidden posts and last likes, packed",
        )
        catalogue = Side(
            "Lenta's catalogue",
            {MANY_ROWS: Asked(features, [_get("/catalogue", key)])},
            serving.megabytes,
            rows=posts,
            note=f"all {posts:,} posts' counts at once, packed, as rankers read them",
        )
        ranking = Side(
            "Lenta's ranker",
            {SCORES: Asked(ranker, [_post("/rank?limit=5", row, key) for row in rows])},
            lambda: _held(["ranker-control"], home),
            note="the matrix is made of the row, and up to 500 posts of it are scored and sorted",
        )
        yield stores, [whole, serving, catalogue, ranking]


@contextmanager
def _bare(stores: Stores) -> Iterator[Side]:
    began = time.monotonic()
    with bare_chain(stores) as chain:
        seconds, ways = time.monotonic() - began, {RECOMMENDATION: _recommendations(chain.port)}
        note = "the same parts on bare routes, without metrics, degradation, deadlines, checks, experiments; no stores"
        yield Side("bare chain", ways, lambda: _megabytes(chain.processes), seconds, note=note)


@contextmanager
def _monolith(home: Path, stores: Stores) -> Iterator[Side]:
    folder, port = home / "beside" / "monolith", free_port()
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.cbm"
    module = "tests.benchmarks.beside.monolith"
    told = {"POSTGRES_URL": stores.postgres_url, "MODEL": str(model), "PYTHONPATH": str(HERE)}
    if not model.exists():
        _run([sys.executable, "-m", module, stores.postgres_url, model], folder, told)
    command = [sys.executable, "-m", "uvicorn", f"{module}:create", "--factory", "--host", HOST, "--port", str(port)]
    with started([*command, "--no-access-log"], f"http://{HOST}:{port}/bytes", folder, told) as server:
        held = float(httpx.get(f"http://{HOST}:{port}/bytes").text)
        ways, process = {RECOMMENDATION: _recommendations(port)}, server.process
        note = "pandas in one process, as the original service was; its own CatBoost of 300 trees over every post"
        yield Side("pandas monolith", ways, lambda: _megabytes([process]), server.seconds, held, note=note)


@contextmanager
def _feast(programs: Path, folder: Path, model: Path) -> Iterator[list[Side]]:
    port, store_port = free_port(), free_port()
    redis_command: list[str | Path] = [
        redis_program(),
        "--port",
        str(store_port),
        "--bind",
        HOST,
        "--save",
        "",
        "--dir",
        folder,
    ]
    with ExitStack() as stack:
        store = stack.enter_context(_redis(redis_command, store_port, folder))
        address, users = f"{HOST}:{store_port}", str(len(USERS))
        _run([programs / "python", GUESTS / "feast_rows.py", folder, address, users], folder, {})
        command: list[str | Path] = [
            programs / "feast",
            "-c",
            folder,
            "serve",
            "-h",
            HOST,
            "-p",
            str(port),
            "--no-access-log",
        ]
        always = ("--max-requests", "1000000000")  # its workers end after 1,000 else
        server = stack.enter_context(started([*command, *always], f"http://{HOST}:{port}/health", folder))
        with redis.Redis(port=store_port) as client:
            held = [int(client.memory_usage(key) or 0) for key in client.scan_iter()]
        everything: list[psutil.Process] = [server.process, store]
        one = _feast_way(port, [[user] for user in USERS])
        many = _feast_way(port, [list(range(low, low + ROWS)) for low in range(200, 380, 10)])
        told = ("Feast", {ONE_ROW: one}, lambda: _megabytes(everything), server.seconds, sum(held) / len(held))
        yield [
            Side(*told, note="its HTTP feature server over Redis, 1 row of 50 features, JSON"),
            Side("Feast, 100 rows", {MANY_ROWS: many}, told[2], rows=ROWS, note="100 rows of 50 features, JSON"),
        ]


@contextmanager
def _mlserver(programs: Path, folder: Path, model: Path) -> Iterator[list[Side]]:
    port = free_port()
    settings = {"host": HOST, "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
    runtime = "mlserver_catboost.CatboostModel"
    of_model = {"name": "control", "implementation": runtime, "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(of_model))
    with started([programs / "mlserver", "start", "."], f"http://{HOST}:{port}/v2/health/ready", folder) as server:
        rows = _rows(model)
        tensor = {"name": "rows", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
        way = Asked(port, [_post("/v2/models/control/infer", json.dumps({"inputs": [tensor]}).encode())])
        process, note = server.process, "the same CatBoost, 100 rows as JSON (V2 protocol)"
        yield [Side("MLServer", {SCORES: way}, lambda: _megabytes([process]), server.seconds, note=note)]


@contextmanager
def _bentoml(programs: Path, folder: Path, model: Path) -> Iterator[list[Side]]:
    port, told = free_port(), {"MODEL": str(model), "BENTOML_DO_NOT_TRACK": "1", "BENTOML_HOME": str(folder)}
    (folder / "bento_scores.py").write_text((GUESTS / "bento_scores.py").read_text())
    command: list[str | Path] = [
        programs / "bentoml",
        "serve",
        "bento_scores:Scores",
        "--host",
        HOST,
        "--port",
        str(port),
    ]
    with started(command, f"http://{HOST}:{port}/readyz", folder, told) as server:
        way = Asked(port, [_post("/predict", json.dumps({"rows": _rows(model).tolist()}).encode())])
        process, note = server.process, "the same CatBoost, 100 rows as JSON"
        yield [Side("BentoML", {SCORES: way}, lambda: _megabytes([process]), server.seconds, note=note)]


@contextmanager
def _redis(command: Sequence[str | Path], port: int, folder: Path) -> Iterator[psutil.Process]:
    with (folder / "redis.log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.1), 100)) as client:
            client.ping()
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(timeout=20)


def _run(command: Sequence[str | Path], folder: Path, told: Mapping[str, str]) -> None:
    """Raises SystemExit with what it said."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} {command[1]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _missing(peers: Path, name: str) -> str | None:
    """Why a peer cannot run here."""
    if (peers / name / "bin").exists():
        return None
    error = peers / f"{name}.error"
    said = error.read_text().strip().splitlines()[-1:] if error.exists() else []
    return f"does not install: {said[0]}" if said else f"is not in {peers}: `make benchmark` installs it"


def _model(stores: Stores) -> Path:
    """Control's trees."""
    pointer = ModelStore(stores.model_uri).current("control")
    assert pointer is not None, f"no model is published under {stores.model_uri}"
    return Path(stores.model_uri, "control", pointer.version, "model.cbm")


def _rows(model: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Shape (100, columns of the model)."""
    columns = len(CatBoost().load_model(str(model)).feature_names_)
    return np.random.default_rng(8).random((ROWS, columns), np.float32).round(4)


def _bytes_a_user(redis_url: str) -> float:
    """Profile, counts and hidden posts, with their keys and what Redis takes for them."""
    with redis.Redis.from_url(redis_url) as client:
        keys = Keys(int(client.get(GENERATION) or 0))
        of_users = [key for user in USERS for key in client.keys(f"{keys.prefix}:u:{user}:*")]
        return sum(int(client.memory_usage(key) or 0) for key in of_users) / len(USERS)


def _held(names: Iterable[str], home: Path) -> float:
    running = Processes.read(Home(home)).running
    live = [running[name].live() for name in names]
    return _megabytes([process for process in live if process is not None])


def _megabytes(processes: Sequence[psutil.Process]) -> float:
    return sum(pss_bytes(process) or 0 for process in processes) / 2**20


def _recommendations(port: int) -> Asked:
    return Asked(port, [_get(f"/post/recommendations/?id={user}") for user in USERS])


def _feast_way(port: int, groups: Sequence[Sequence[int]]) -> Asked:
    bodies = [json.dumps({"features": FEATURES, "entities": {"user_id": users}}).encode() for users in groups]
    return Asked(port, [_post("/get-online-features", body) for body in bodies])


def _get(path: str, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{_lines(headers)}\r\n".encode()


def _post(path: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """JSON, or a packed row where there are headers for our own services."""
    told = {"Content-Type": "application/octet-stream" if headers else "application/json", "Content-Length": len(body)}
    return f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{_lines({**headers, **told})}\r\n".encode() + body


def _lines(headers: Mapping[str, object]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
