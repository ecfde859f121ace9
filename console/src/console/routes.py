"""The addresses of the demo page, and of what all pages share."""

from __future__ import annotations

from typing import Annotated, Literal

from chassis.errors import InvalidParameter
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.asking import Now, Settings, Source
from console.demo import K_MAX, Demo, Query
from console.frame import DEMO, THEME_COOKIE, page
from console.reading import read_demo

HOME = DEMO
A_YEAR = 365 * 24 * 3600


router = APIRouter(include_in_schema=False)
absent = APIRouter(include_in_schema=False)


@router.get("/")
@router.get("/console")
@router.get("/console/")
async def home() -> RedirectResponse:
    return RedirectResponse(HOME)


@router.get(HOME)
async def demo_page(request: Request, gateway: Source, settings: Settings, now: Now) -> Response:
    form = {"given": dict(request.query_params), "examples": settings.example_users, "k_max": K_MAX}
    try:
        query = Query.of(request.query_params)
    except InvalidParameter as error:
        empty = Demo(query=Query(), as_of=now)
        return page(request, "demo.html", form | {"demo": empty, "error": error}, status=error.status)
    demo = await read_demo(gateway, query, now)
    return page(request, "demo.html", form | {"demo": demo, "error": None}, status=_status(demo))


@router.get(f"{HOME}.json")
async def demo_json(request: Request, gateway: Source, now: Now) -> Response:
    demo = await read_demo(gateway, Query.of(request.query_params), now)
    headers = {"Cache-Control": "no-store"}
    return Response(demo.model_dump_json(), _status(demo), headers, media_type="application/json")


@router.post("/console/theme")
async def choose_theme(
    theme: Annotated[Literal["system", "light", "dark"], Form()], back: Annotated[str, Form()] = HOME
) -> RedirectResponse:
    """For browsers without scripts; with them the theme changes in place. `back`: a page of the console."""
    to = back if back.startswith("/console/") and "\\" not in back else HOME
    response = RedirectResponse(to, 303)
    response.set_cookie(THEME_COOKIE, theme, max_age=A_YEAR, path="/console", samesite="lax")
    return response


@absent.get("/console/{path:path}")
async def no_page(request: Request, path: str) -> Response:
    said = "The address may be mistyped, or the page is yet to come."
    return page(request, "absent.html", {"said": said}, status=404)


def _status(demo: Demo) -> int:
    return 503 if demo.problem else 200
