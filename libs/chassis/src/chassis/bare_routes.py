"""Routes that read their request themselves, answered before FastAPI looks at it.

Its layers below the middleware (two exit stacks, handlers of errors, routers within routers, dependencies) take a third
of what a call between our services takes altogether, and serve nothing that such a route uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.errors import ServiceError, refusal

Endpoint = Callable[[Request], Awaitable[Response]]


class BareAPIRoute(APIRoute):
    """One whose handler (`get_route_handler`) needs nothing of FastAPI's but its place in the API's description."""


def bare_routes(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Of a router's routes, those of coroutines that take a `Request` and answer a `Response`; any error that they
    raise is a ServiceError, or a bug."""
    for route in routes:
        if isinstance(route, BareAPIRoute):
            yield Route(route.path, route.get_route_handler(), methods=route.methods)
        elif isinstance(route, Route) and not isinstance(route, APIRoute):
            yield route


class BareRoutes:
    """ASGI middleware, the innermost. What none of its routes matches, method and all, is the app's."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        every = [(route, route.path) for route in routes]
        self._by_path = {(path, method): route for route, path in every for method in route.methods or ()}
        self._others = [route for route, path in every if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._match(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # by which a request is counted
        endpoint: Endpoint = route.endpoint
        try:
            response = await endpoint(Request(scope, receive))
        except ServiceError as error:
            response = refusal(scope, error)
        await response(scope, receive, send)

    def _match(self, scope: Scope) -> Route | None:
        if route := self._by_path.get((scope["path"], scope["method"])):
            return route
        for route in self._others:
            match, child = route.matches(scope)
            if match == Match.FULL:
                scope.update(child)
                return route
        return None
