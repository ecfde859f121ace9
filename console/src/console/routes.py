"""The addresses that belong to no page: home, the theme, and whatever does not exist."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.frame import DEMO, THEME_COOKIE, page

HOME = DEMO
A_YEAR = 365 * 24 * 3600

router = APIRouter(include_in_schema=False)
absent = APIRouter(include_in_schema=False)


@router.get("/")
@router.get("/console")
@router.get("/console/")
async def home() -> RedirectResponse:
    return RedirectResponse(HOME)


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
    said = "The address may be mistyped, or the page does not exist yet."
    return page(request, "absent.html", {"said": said}, status=404)
