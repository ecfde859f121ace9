"""The addresses of the demo page."""

from __future__ import annotations

from datetime import datetime

from chassis.errors import InvalidParameter
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.demo.answers import ask
from console.demo.view import K_MAX, Demo, Query, demo_of
from console.frame import DEMO, page
from console.gateway import Gateway
from console.state import GatewayDep, NowDep, SettingsDep

router = APIRouter(include_in_schema=False)


@router.get(DEMO)
async def demo_page(request: Request, gateway: GatewayDep, settings: SettingsDep, now: NowDep) -> Response:
    form = {"given": dict(request.query_params), "examples": settings.example_users, "k_max": K_MAX}
    try:
        query = Query.of(request.query_params)
    except InvalidParameter as error:
        empty = Demo(query=Query(), as_of=now)
        return page(request, "demo.html", form | {"demo": empty, "error": error}, status=error.status)
    demo = await _demo(gateway, query, now)
    return page(request, "demo.html", form | {"demo": demo, "error": None}, status=_status(demo))


@router.get(f"{DEMO}.json")
async def demo_json(request: Request, gateway: GatewayDep, now: NowDep) -> Response:
    demo = await _demo(gateway, Query.of(request.query_params), now)
    headers = {"Cache-Control": "no-store"}
    return Response(demo.model_dump_json(), _status(demo), headers, media_type="application/json")


async def _demo(gateway: Gateway, query: Query, now: datetime) -> Demo:
    """Never fails: in place of what could not be read stands the reason."""
    if query.user is None:
        return Demo(query=query, as_of=now)
    return demo_of(query, query.user, await ask(gateway, query.user, query.k, query.liked), now)


def _status(demo: Demo) -> int:
    return 503 if demo.problem else 200
