"""The connections to the services behind the gateway, opened together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from chassis.hops import Hop
from chassis.inner_door import internal_headers
from contracts.assignment import Group
from prometheus_client import Gauge

from gateway.settings import Settings
from gateway.upstream import Absent, Upstream

BUDGET = Gauge("gateway_budget_seconds", "The most that a call to another service may take.", ["of"])


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Each fails apart from the others. To feature-service by what a call needs there: Redis (features), Postgres
    (histories), the log (writes), Postgres for longer than the others (administration), and records that nobody waits
    for. To a ranker by whether somebody waits for posts, or for reasons (explainers)."""

    features: Upstream
    histories: Upstream
    writes: Upstream
    administration: Upstream
    records: Upstream
    rankers: Mapping[Group, Upstream]
    explainers: Mapping[Group, Upstream]


class Rankers(dict[Group, Upstream]):
    """By name. One that a plan names and this gateway was not told of is there too: nobody listens."""

    def __missing__(self, name: Group) -> Upstream:
        return Absent(f"ranker-{name}")


@asynccontextmanager
async def open_upstreams(settings: Settings) -> AsyncIterator[Upstreams]:
    ranker_seconds = settings.ranker_ms / 1000
    BUDGET.labels("ranker").set(ranker_seconds)
    headers = internal_headers(settings.internal_key)
    async with AsyncExitStack() as stack:
        features = await stack.enter_async_context(Hop(settings.features_url, headers))
        rankers = {name: await stack.enter_async_context(Hop(url, headers)) for name, url in settings.rankers.items()}
        yield Upstreams(
            features=Upstream("feature-service", features),
            histories=Upstream("histories", features),
            writes=Upstream("writes", features),
            administration=Upstream("administration", features),
            records=Upstream("records", features),
            rankers=Rankers((name, Upstream(f"ranker-{name}", hop, ranker_seconds)) for name, hop in rankers.items()),
            explainers={name: Upstream(f"explain-{name}", hop) for name, hop in rankers.items()},
        )
