"""The frame that all pages share: navigation, theme, templates, static files, and the headers that keep it safe.

A new page adds one entry to `PAGES` and one router.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HERE = Path(str(files("console")))
STATIC = HERE / "static"
THEMES = ("system", "light", "dark")
THEME_COOKIE = "lenta_theme"

CONTENT_SECURITY_POLICY = "; ".join(
    ("default-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'", "object-src 'none'")
)


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    name: str
    path: str


POSTS = "/console/posts"
DEMO, EXPERIMENTS, RULES, SYSTEM = "/console/demo", "/console/experiments", "/console/rules", "/console/system"
PAGES = (
    NavigationEntry("Demo", DEMO),
    NavigationEntry("Experiments", EXPERIMENTS),
    NavigationEntry("Rules", RULES),
    NavigationEntry("System", SYSTEM),
)


@cache
def static_path() -> str:
    """Carries a fingerprint of the files, so that browsers may cache them for good."""
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + path.read_bytes())
    return f"/console/static/{digest.hexdigest()[:12]}"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["iso"] = _iso
    return environment


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(THEME_COOKIE, THEMES[0])
    return chosen if chosen in THEMES else THEMES[0]


def page(request: Request, template: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
    """The theme is part of the first byte, so that nothing flashes."""
    theme = theme_of(request)
    frame = {
        "pages": PAGES,
        "path": request.url.path,
        "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "static": static_path(),
        "theme": theme,
        "next_theme": THEMES[(THEMES.index(theme) + 1) % len(THEMES)],
    }
    body = _templates().get_template(template).render({"live": None} | frame | dict(values)).encode()
    headers = {"Cache-Control": "no-store", "Vary": "Cookie"}
    if request.method != "GET" or status != 200:
        return HTMLResponse(body, status, headers)
    return unless_known(request, HTMLResponse(body, headers=headers))


def unless_known(request: Request, response: Response) -> Response:
    """304 where the browser already has this answer."""
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()[:20]}"'
    response.headers["ETag"] = tag
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-store"})
    return response


class PageHeaders:
    """ASGI middleware: the browser may load from this origin alone, and may keep the fingerprinted files.

    over_tls: it is told to ask over TLS alone for the next year.
    """

    def __init__(self, app: ASGIApp, *, over_tls: bool = False) -> None:
        self._app, self._over_tls = app, over_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/console"):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
                headers["Referrer-Policy"] = "same-origin"
                if self._over_tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if scope["path"].startswith(static_path()) and message["status"] == 200:
                    headers["Cache-Control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self._app(scope, receive, with_headers)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
