"""A gateway before fake upstreams, each served on a port of its own, that a test adjusts, stops and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx
from gateway.app import create
from gateway.settings import Settings

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Features, Ranker

KEY = "secret-key"
ADMIN = "admin-key"


@dataclass
class Stage:
    features: Features
    control: Ranker
    test: Ranker
    http: httpx.Client
    stops: dict[str, ExitStack]
    settings: Settings

    def recommend(self, user_id: int, **params: str | int) -> httpx.Response:
        return self.http.get("/post/recommendations/", params={"id": user_id, **params})

    def in_group(self, group: str, **params: str | int) -> httpx.Response:
        return self.http.get(f"/{group}/post/recommendations/", params={"id": 1, **params})

    def stop(self, name: str) -> None:
        """features, control, test or gateway."""
        self.stops[name].close()

    def await_poll(self) -> None:
        """Waits until the gateway has asked for the running experiments once more, and has had time to read them."""
        seen = len(self.features.polls)
        until(lambda: len(self.features.polls) > seen)
        time.sleep(0.05)


@contextmanager
def gateway_stage(features: Features | None = None, *, wait: bool = True, **settings: object) -> Iterator[Stage]:
    """Its budgets are so long that a machine which pauses changes no answer. What is about slowness sets its own."""
    features = features or Features()
    control, test = Ranker("control", 100), Ranker("test", 200)
    with ExitStack() as stack:
        stops = {name: stack.enter_context(ExitStack()) for name in ("features", "control", "test", "gateway")}
        urls = {
            name: stops[name].enter_context(served(upstream.app()))
            for name, upstream in (("features", features), ("control", control), ("test", test))
        }
        told = Settings(
            features_url=urls["features"],
            control_url=urls["control"],
            test_url=urls["test"],
            api_keys=f"other,{KEY}",
            admin_keys=f"first-admin,{ADMIN}",
            deadline_ms=20_000,
            features_ms=10_000,
            exposure_ms=10_000,
            ranker_ms=10_000,
        ).model_copy(update=settings)
        url = stops["gateway"].enter_context(served(create(told)))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        if wait:
            until_ready(http)
        yield Stage(features, control, test, http, stops, told)


def until_ready(http: httpx.Client) -> None:
    until(lambda: http.get("/readyz").status_code == 200)


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.02)
