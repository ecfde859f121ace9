"""The whole platform in one process: real stores, services on ports, toy models, ingest in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from contracts.assignment import GROUPS
from gateway.app import create
from gateway.settings import Settings as GatewaySettings
from ranking.server import create_ranker
from ranking.settings import RankerSettings

from tests.support.data.toy_model import LengthEncoder, publish_toy
from tests.support.fakes.gateway import served
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform, ingesting
from tests.support.platforms.gateway_stage import ADMIN, KEY, until_ready


@dataclass
class WholePlatform:
    gateway: str
    http: httpx.Client
    """Of the gateway, without a key."""
    features: FeaturePlatform


@contextmanager
def whole_platform(postgres_url: str, redis_url: str, folder: Path) -> Iterator[WholePlatform]:
    """Its budgets are so long that a machine which pauses degrades no answer."""
    with ExitStack() as stack:
        features = stack.enter_context(feature_platform(postgres_url, redis_url))
        stack.enter_context(ingesting(features))
        rankers = {name: stack.enter_context(_ranker(name, features, folder)) for name in GROUPS}
        settings = GatewaySettings(
            features_url=features.url,
            control_url=rankers["control"],
            test_url=rankers["test"],
            api_keys=KEY,
            admin_keys=ADMIN,
            deadline_ms=20_000,
            features_ms=10_000,
            exposure_ms=10_000,
            ranker_ms=10_000,
        )
        url = stack.enter_context(served(create(settings)))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        until_ready(http)
        yield WholePlatform(url, http, features)


@contextmanager
def _ranker(name: str, features: FeaturePlatform, folder: Path) -> Iterator[str]:
    publish_toy(folder / "models", folder, features.catalogue(), name=name, version="1")
    settings = RankerSettings(
        model_uri=str(folder / "models"), features_url=features.url, cache_dir=folder, trial_seconds=0, poll_seconds=0.2
    )
    with served(create_ranker(name, LengthEncoder.load, settings)) as url, httpx.Client(base_url=url) as http:
        until_ready(http)
        yield url
