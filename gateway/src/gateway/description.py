"""`/docs`: the API's description as a page, from this process alone: keys are typed there."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

PATH, FILES = "/docs", "/docs/files"


def describe(app: FastAPI) -> None:
    """Adds the page and its files."""
    page = bytes(
        get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{FILES}/favicon.png",
        ).body
    ).decode()
    headers = {"Content-Security-Policy": _policy(page), "Referrer-Policy": "no-referrer"}

    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    app.add_route(PATH, docs, include_in_schema=False)
    app.mount(FILES, StaticFiles(directory=Path(str(files("fastapi_offline"))) / "static"))


def _policy(page: str) -> str:
    """Scripts from here, and the one that stands in the page."""
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    known = b64encode(sha256(script.encode()).digest()).decode()
    parts = (
        "default-src 'self'",
        f"script-src 'self' 'sha256-{known}'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(parts)
