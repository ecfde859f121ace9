"""The address of the system page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chassis.errors import InvalidParameter
from contracts import numbers
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.frame import SYSTEM, page, unless_known
from console.gateway import Gateway, platform_clock
from console.state import GatewayDep, NowDep
from console.system.view import RANGES, System, system_of
from console.system.watch import Watch, WatchDep

DEFAULT_RANGE = "1h"

router = APIRouter(include_in_schema=False)


@router.get(SYSTEM)
async def system_page(request: Request, watch: WatchDep, gateway: GatewayDep, now: NowDep) -> Response:
    try:
        chosen = _range(request.query_params)
    except InvalidParameter as error:
        return page(request, "absent.html", {"said": f"{error.message}."}, status=error.status)
    view = await _view(watch, gateway, now, chosen)
    return page(request, "system.html", {"one": view, "live": "system"})


@router.get(f"{SYSTEM}.json")
async def system_json(request: Request, watch: WatchDep, gateway: GatewayDep, now: NowDep) -> Response:
    chosen = _range(request.query_params)
    view = await _view(watch, gateway, now, chosen)
    body = view.model_dump_json(exclude={"plots": {"__all__": {"lines", "ticks", "times", "budget"}}})
    return unless_known(request, Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json"))


async def _view(watch: Watch, gateway: Gateway, now: datetime, chosen: str) -> System:
    """Processes are read in real time, whatever the platform's clock says."""
    clock = await platform_clock(gateway)
    said = f"real time; the platform’s clock, simulated: {numbers.date_and_clock(clock.at(now))}"
    return system_of(
        watch.names, watch.since(now - RANGES[chosen]), now, chosen, watch.poll_seconds,
        left=watch.left, clock=said if clock.is_simulated(now) else "",
    )  # fmt: skip


def _range(params: Mapping[str, str]) -> str:
    given = params.get("range", "") or DEFAULT_RANGE
    if given not in RANGES:
        raise InvalidParameter(f"range must be one of {', '.join(RANGES)}", field="range")
    return given
