"""What `/readyz` checks: a gateway is ready when it can answer, and splits users as all other gateways do."""

from __future__ import annotations

from collections.abc import Iterable

from chassis.health import Check
from contracts.assignment import Group
from starlette.requests import Request

from gateway.state import state_of


async def can_fall_back(request: Request) -> str | None:
    """Whatever else is down."""
    popular = state_of(request)["fallback"].popular
    return None if popular is not None else "feature-service has not answered yet: nothing to fall back on"


async def knows_experiments(request: Request) -> str | None:
    known = state_of(request)["split"].known
    return None if known else "feature-service has not named the running experiments yet"


async def features_trouble(request: Request) -> str | None:
    trouble = state_of(request)["upstreams"].features.trouble
    return f"{trouble}: last slates and popular posts are given" if trouble else None


def ranker_trouble(name: Group) -> Check:
    async def trouble(request: Request) -> str | None:
        trouble = state_of(request)["upstreams"].rankers[name].trouble
        return f"{trouble}: its group gets last slates and popular posts" if trouble else None

    return trouble


def warnings(rankers: Iterable[Group]) -> dict[str, Check]:
    return {"features": features_trouble, **{name: ranker_trouble(name) for name in rankers}}


CHECKS: dict[str, Check] = {"fallback": can_fall_back, "experiments": knows_experiments}
