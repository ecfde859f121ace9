"""Live is not ready. A readiness check returns None, or the reason with what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

Check = Callable[[Request], Awaitable[str | None]]


def health_routes(checks: Mapping[str, Check], warnings: Mapping[str, Check] = MappingProxyType({})) -> APIRouter:
    """`/livez`: the process answers. `/readyz`: 200, or 503 with each failing check's reason.

    warnings: what is said beside "ready" and takes nothing out of service.
    """
    router = APIRouter(tags=["health"])

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        reasons = await _failing(checks, request)
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, 503)
        said = await _failing(warnings, request)
        return JSONResponse({"status": "ready", "warnings": said} if said else {"status": "ready"})

    return router


async def _failing(checks: Mapping[str, Check], request: Request) -> dict[str, str]:
    reasons = {name: await check(request) for name, check in checks.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}
