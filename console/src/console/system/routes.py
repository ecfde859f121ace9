"""The address of the system page."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.errors import InvalidParameter
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.frame import SYSTEM, page, unless_known
from console.state import NowDep
from console.system.view import RANGES, System, system_of
from console.system.watch import WatchDep

DEFAULT_RANGE = "1h"

router = APIRouter(include_in_schema=False)


@router.get(SYSTEM)
async def system_page(request: Request, watch: WatchDep, now: NowDep) -> Response:
    try:
        chosen = _range(request.query_params)
    except InvalidParameter as error:
        return page(request, "absent.html", {"said": f"{error.message}."}, status=error.status)
    view = system_of(watch.names, watch.since(now - RANGES[chosen]), now, chosen, watch.poll_seconds)
    return page(request, "system.html", {"one": view, "live": "system"})


@router.get(f"{SYSTEM}.json")
async def system_json(request: Request, watch: WatchDep, now: NowDep) -> Response:
    chosen = _range(request.query_params)
    view: System = system_of(watch.names, watch.since(now - RANGES[chosen]), now, chosen, watch.poll_seconds)
    body = view.model_dump_json(exclude={"plots": {"__all__": {"lines", "ticks", "times", "budget"}}})
    return unless_known(request, Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json"))


def _range(params: Mapping[str, str]) -> str:
    given = params.get("range", "") or DEFAULT_RANGE
    if given not in RANGES:
        raise InvalidParameter(f"range must be one of {', '.join(RANGES)}", field="range")
    return given
