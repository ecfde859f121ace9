"""Services to watch: the text of their metrics, and an hour of readings with a restart, a gap and two degradations."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from console.system.sample import read, silent
from console.system.watch import Replica, Watch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

BOUNDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.12, 0.3, 1.0)
NAMES = ("gateway", "feature-service", "ingest", "ranker-control", "ranker-test")
POLL_SECONDS = 15.0


@dataclass
class Process:
    """One replica's counters, in the text that Prometheus reads."""

    service: str
    version: str = "0.1.0"
    started_at: float = 1_773_450_000.0
    model: str = ""
    lag: float | None = None
    asked: int = 0
    failed: int = 0
    served: Counter[tuple[str, str]] = field(default_factory=Counter)
    degraded: Counter[tuple[str, str]] = field(default_factory=Counter)
    degraded_answers: Counter[str] = field(default_factory=Counter)
    replies: dict[str, list[float]] = field(default_factory=dict)
    ready: bool = True
    said: Mapping[str, str] = field(default_factory=dict)
    """Reasons why it is not ready, or warnings."""

    def health(self) -> dict[str, object]:
        if not self.ready:
            return {"status": "not ready", "reasons": dict(self.said)}
        return {"status": "ready", "warnings": dict(self.said)} if self.said else {"status": "ready"}

    def metrics(self) -> str:
        route = '{method="GET",route="/post/recommendations/",status="%s"}'
        lines = [
            f"process_start_time_seconds {self.started_at}",
            f'service_info{{service="{self.service}",version="{self.version}"}} 1',
            f"http_request_duration_seconds_count{route % 200} {self.asked - self.failed}",
            f"http_request_duration_seconds_count{route % 503} {self.failed}",
            'http_request_duration_seconds_count{method="GET",route="/readyz",status="200"} 9999',
        ]
        if self.model:
            lines.append(f'ranker_model_info{{model="{self.service}",version="{self.model}"}} 1')
        if self.lag is not None:
            lines += ['ingest_lag_seconds{shard="0"} 0.1', f'ingest_lag_seconds{{shard="1"}} {self.lag}']
        lines += [f'gateway_recommendations_total{{group="{g}",model="{m}"}} {n}' for (g, m), n in self.served.items()]
        lines += [f'gateway_degraded_total{{group="{g}",reason="{r}"}} {n}' for (g, r), n in self.degraded.items()]
        lines += [f'gateway_degraded_answers_total{{group="{g}"}} {n}' for g, n in self.degraded_answers.items()]
        for service, seconds in self.replies.items():
            labels, ordered = f'service="{service}",outcome="answered"', sorted(seconds)
            for bound in BOUNDS:
                lines.append(f'gateway_upstream_seconds_bucket{{{labels},le="{bound}"}} {bisect_right(ordered, bound)}')
            lines.append(f'gateway_upstream_seconds_bucket{{{labels},le="+Inf"}} {len(seconds)}')
        if self.service == "gateway":
            lines.append('gateway_budget_seconds{of="ranker"} 0.12')
        return "\n".join(lines) + "\n"

    def app(self) -> ASGIApp:
        async def readyz(_: Request) -> Response:
            return JSONResponse(self.health(), 200 if self.ready else 503)

        async def metrics(_: Request) -> Response:
            return PlainTextResponse(self.metrics())

        return Starlette(routes=[Route("/readyz", readyz), Route("/metrics", metrics)])


@cache
def watched(now: datetime, *, version_of_second: str = "0.1.0", lag: float = 4.0, test_down: bool = False) -> Watch:
    """An hour up to now: two gateways, of which the second was silent for six minutes; test degraded in the middle.

    Made once: a test that adds to it makes its own.
    """
    watch = Watch([f"{name}=http://{name}:8000" for name in NAMES], poll_seconds=POLL_SECONDS)
    started = (now - timedelta(days=2, hours=3)).timestamp()
    gateways = [Process("gateway", started_at=started), Process("gateway", version_of_second, started_at=started)]
    others = [
        Process("feature-service", started_at=started),
        Process("ingest", started_at=started, lag=lag),
        Process("ranker-control", started_at=started, model="2026-03-12.1"),
        Process("ranker-test", started_at=started, model="2026-03-13.4"),
    ]
    steps = int(3600 / POLL_SECONDS)
    for step in range(steps + 1):
        at = now - timedelta(seconds=POLL_SECONDS * (steps - step))
        for number, one in enumerate(gateways, 1):
            _serve(one, step)
            quiet = number == 2 and 60 <= step < 84
            replica = Replica("gateway", f"10.0.0.{number}:8000")
            watch.keep(replica, silent(at) if quiet else read(at, 200, one.health(), one.metrics()))
        for one in others:
            if one.lag is not None:
                one.lag = lag if step == steps else 0.4 + (step % 9) * 0.2
            replica = Replica(one.service, f"{one.service}:8000")
            gone = test_down and one.service == "ranker-test" and step > steps - 8
            watch.keep(replica, silent(at) if gone else read(at, 200, one.health(), one.metrics()))
    return watch


def _serve(one: Process, step: int) -> None:
    """30 answers per reading; in ten readings test's ranker times out for some."""
    one.asked += 30
    one.failed += step % 97 == 5
    one.served["control", "control"] += 15
    late = 4 if 100 <= step < 110 else 0
    one.served["test", "test"] += 15 - late
    if late:
        one.served["test", "popular"] += late
        one.degraded["test", "ranker_timeout"] += late
        one.degraded_answers["test"] += late
    for service, middle in (("ranker-control", 0.003), ("ranker-test", 0.006)):
        took = one.replies.setdefault(service, [])
        took += [middle * (1 + (step + n) % 7 / 4) for n in range(14)] + [0.13 if late else middle * 6]
