"""Routes whose query is read by one pydantic model made of their signature.

FastAPI reads the parameters of a route one by one, through dependencies that there may be: 60 µs a request, as long as
all else that a route costs. What such a route says in the API's description stays FastAPI's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from chassis.bare_routes import BareAPIRoute
from chassis.errors import invalid_parameter_from
from fastapi import APIRouter
from pydantic import BaseModel, ValidationError, create_model
from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[..., Coroutine[Any, Any, Response]]


class _QueryRoute(BareAPIRoute):
    """Of a coroutine that takes the `Request` and, of the query, what else it names, and answers a `Response`."""

    def get_route_handler(self) -> Endpoint:
        endpoint: Endpoint = self.endpoint
        query = _query_of(endpoint)

        async def handle(request: Request) -> Response:
            try:
                asked = query.model_validate(dict(request.query_params))
            except ValidationError as error:
                raise invalid_parameter_from(error, "query") from error
            return await endpoint(request, **vars(asked))

        return handle


def query_router(tag: str) -> APIRouter:
    """A router of such coroutines."""
    return APIRouter(tags=[tag], route_class=_QueryRoute)


def _query_of(endpoint: Endpoint) -> type[BaseModel]:
    hints = get_type_hints(endpoint, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(endpoint).parameters.items()
        if hints[name] is not Request
    }
    return create_model("Query", **fields)
