"""Live is not ready. A readiness check returns None, or the reason with what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

Check = Callable[[Request], Awaitable[str | None]]


def health_routes(checks: Mapping[str, Check]) -> APIRouter:
    """`/livez`: the process answers. `/readyz`: 200, or 503 with each failing check's reason."""
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        found = {name: await check(request) for name, check in checks.items()}
        reasons = {name: reason for name, reason in found.items() if reason is not None}
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, 503)
        return JSONResponse({"status": "ready"})

    return router
