"""What an exposure costs a request: enrolled users against others, in turns, over the real feature-service and Redis.

Both ways are a row, a ranking by a ranker that does nothing, and the texts of five posts; an enrolled user's answer is
appended to the log before it leaves, and the assignment goes out beside it. `/livez`, asked in the same turns, says how
busy the machine is. `make bounds` prints the table.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from contracts.experiments import Experiment, Plan
from contracts.headers import API_KEY, DEGRADED
from pipeline.stack.ports import DEFAULTS
from pipeline.stack.servers import free_port
from pipeline.stack.services import Service, services
from rich.console import Console
from rich.table import Table

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Ranker
from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, feature_platform
from tests.support.platforms.gateway_stage import until

UNDISTURBED = 0.1
"""The quantile that is held to the bar: requests that no other work held up, which on a quiet machine is the median."""
TURNS, WARM_UP = 1_000, 100
MOST_MS, LIVEZ_MS = 0.5, 0.34
"""The bar, and what `/livez` takes on the quiet machine for which it stands: on a busier one it is as much higher."""
PLAN = Plan(enrolment=0.5)
Seconds = npt.NDArray[np.float64]


@contextmanager
def running(service: Service) -> Iterator[None]:
    """As `make up` runs it."""
    process = subprocess.Popen(service.command, env=service.environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def whole_path(platform: FeaturePlatform) -> Iterator[httpx.Client]:
    """The gateway over feature-service, each a process, and a ranker that answers the first five posts."""
    with ExitStack() as stack:
        ranker = Ranker("toy", 1)
        url = stack.enter_context(served(ranker.app()))
        ports = {name: free_port() for name in DEFAULTS}
        ports["ranker-control"] = ports["ranker-test"] = int(url.rsplit(":", 1)[1])
        started = services(ports, platform.postgres_url, platform.redis_url, "unused", "key", "admin")
        for service in started:
            if service.name in ("feature-service", "gateway"):
                stack.enter_context(running(service))
        http = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{ports['gateway']}", timeout=10))
        until(lambda: _is_ready(http), seconds=30)
        _only(http, "half", PLAN)
        yield http


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _only(http: httpx.Client, name: str, plan: Plan) -> None:
    """Makes it the one experiment that runs, and waits until the gateway follows."""
    admin, reason = {API_KEY: "admin"}, "a benchmark"
    for line in http.get("/experiments", headers=admin).raise_for_status().json():
        stop = {"state": "stopped", "reason": reason}
        http.put(f"/experiments/{line['name']}", json=stop, headers=admin).raise_for_status()
    body = {"plan": plan.model_dump(mode="json"), "state": "running", "reason": reason}
    http.put(f"/experiments/{name}", json=body, headers=admin).raise_for_status()
    time.sleep(2.5)


def _users() -> tuple[list[int], list[int]]:
    """A hundred who are enrolled and a hundred who are not."""
    experiment, now = Experiment.started("half", PLAN, datetime.now(UTC)), datetime.now(UTC)
    users = range(1_000, 2_000)
    enrolled = [user for user in users if experiment.assign(user, now).enrolled]
    return enrolled[:100], [user for user in users if user not in set(enrolled)][:100]


def _measure(http: httpx.Client) -> Mapping[str, Seconds]:
    """Of each way, shape (turns,), in an order that differs from turn to turn."""
    enrolled, others = _users()
    taken: dict[str, list[float]] = {"enrolled": [], "not enrolled": [], "/livez": []}
    rng = np.random.default_rng(0)
    for turn in range(WARM_UP + TURNS):
        user = {"enrolled": enrolled[turn % 100], "not enrolled": others[turn % 100]}
        for name in rng.permutation(list(taken)):
            path = f"/post/recommendations/?id={user[name]}" if name in user else name
            started = time.perf_counter()
            answer = http.get(path)
            taken[name].append(time.perf_counter() - started)
            assert answer.status_code == 200
            assert DEGRADED not in answer.headers
    return {name: np.array(times[WARM_UP:]) for name, times in taken.items()}


def _show(seconds: Mapping[str, Seconds]) -> None:
    table = Table("", "first decile ms", "median ms", "p99 ms", title="a recommendation, without ranking")
    for name, times in seconds.items():
        table.add_row(name, *(f"{1_000 * value:.3f}" for value in np.quantile(times, [UNDISTURBED, 0.5, 0.99])))
    table.add_row("an exposure", *(f"{_more(seconds, at):.3f}" for at in (UNDISTURBED, 0.5)), "")
    table.add_row("the bar on this machine now", *(f"{_bar(seconds, at):.3f}" for at in (UNDISTURBED, 0.5)), "")
    Console().print(table)


def _more(seconds: Mapping[str, Seconds], at: float) -> float:
    """Milliseconds at a quantile."""
    return 1_000 * float(np.quantile(seconds["enrolled"], at) - np.quantile(seconds["not enrolled"], at))


def _bar(seconds: Mapping[str, Seconds], at: float) -> float:
    return MOST_MS * max(1.0, 1_000 * float(np.quantile(seconds["/livez"], at)) / LIVEZ_MS)


def test_an_exposure_adds_less_than_half_a_millisecond_to_the_median_request(
    postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURES_SHARDS", str(SHARDS))
    with feature_platform(postgres_url, redis_url) as platform, whole_path(platform) as http:
        seconds = _measure(http)
        _show(seconds)
        assert _more(seconds, UNDISTURBED) < _bar(seconds, UNDISTURBED)
        platform.settle()
        assert platform.count("exposures") == TURNS + WARM_UP
        assert platform.count("assignments") == 100
