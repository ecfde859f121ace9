"""The addresses of the demo page and of a post's."""

from __future__ import annotations

from datetime import datetime

from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.wire import POST_ID_MAX
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.demo.answers import ask
from console.demo.posts import Asked, ask_post, post_page_of
from console.demo.view import K_MAX, Demo, Query, demo_of
from console.frame import DEMO, POSTS, page
from console.gateway import Gateway, GatewayError, unreadable
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


@router.get(f"{POSTS}/{{post_id}}.json")
async def post_json(post_id: str, gateway: GatewayDep, now: NowDep) -> Response:
    """Raises NotFound, Unavailable."""
    try:
        asked = await _post(gateway, post_id)
    except GatewayError as error:
        raise Unavailable(unreadable(error)) from error
    if asked is None:
        raise NotFound(f"there is no post {post_id[:40]!r}")
    headers = {"Cache-Control": "no-store"}
    return Response(post_page_of(asked, now).model_dump_json(), headers=headers, media_type="application/json")


@router.get(f"{POSTS}/{{post_id}}")
async def post_page(request: Request, post_id: str, gateway: GatewayDep, now: NowDep) -> Response:
    try:
        asked = await _post(gateway, post_id)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    if asked is None:
        return page(request, "absent.html", {"said": f"There is no post {post_id[:40]!r}."}, status=404)
    return page(request, "post.html", {"one": post_page_of(asked, now)})


async def _post(gateway: Gateway, post_id: str) -> Asked | None:
    """None for what is no id, too. Raises GatewayError."""
    is_id = post_id.isascii() and post_id.isdigit() and len(post_id) <= 10 and int(post_id) <= POST_ID_MAX
    return await ask_post(gateway, int(post_id)) if is_id else None


async def _demo(gateway: Gateway, query: Query, now: datetime) -> Demo:
    """Never fails: in place of what could not be read stands the reason."""
    if query.user is None:
        return Demo(query=query, as_of=now)
    return demo_of(query, query.user, await ask(gateway, query.user, query.k, query.liked), now)


def _status(demo: Demo) -> int:
    return 503 if demo.problem else 200
