"""Errors with domain names, rendered once, at the edge, as `contracts.wire.Problem`.

ServiceError
 |- InvalidParameter   422, names the field
 |- Unauthorized       401
 |- Forbidden          403
 |- NotFound           404
 |- TooLate            408
 |- Conflict           409, names the field if there is one
 |- TooLarge           413
 |- UnsupportedMediaType 415
 |- TooMany            429, with Retry-After
 |- Unavailable        503, with Retry-After
     |- Busy            429: up, and too much asked
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from contracts.wire import Problem
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

log = structlog.get_logger()


class ServiceError(Exception):
    """Says to the caller what is wrong and tells nothing of the inside."""

    status = 500
    error = "internal"

    def __init__(self, message: str, *, field: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message, self.field, self.retry_after = message, field, retry_after


class InvalidParameter(ServiceError):
    status, error = 422, "invalid_parameter"


class Unauthorized(ServiceError):
    status, error = 401, "unauthorized"


class Forbidden(ServiceError):
    status, error = 403, "forbidden"


class NotFound(ServiceError):
    status, error = 404, "not_found"


class TooLate(ServiceError):
    """What was announced did not arrive in time; the connection is over."""

    status, error = 408, "too_late"


class Conflict(ServiceError):
    """The request is right and comes at the wrong time: somebody was faster, or what it changes is locked."""

    status, error = 409, "conflict"


class TooLarge(ServiceError):
    status, error = 413, "too_large"


class UnsupportedMediaType(ServiceError):
    status, error = 415, "unsupported_media_type"


class TooMany(ServiceError):
    """Of this one caller; others are answered."""

    status, error = 429, "too_many"

    def __init__(self, message: str, *, field: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, field=field, retry_after=retry_after)


class Unavailable(ServiceError):
    """What is needed is down or full; the same request may succeed later."""

    status, error = 503, "unavailable"

    def __init__(self, message: str, *, field: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, field=field, retry_after=retry_after)


class Busy(Unavailable):
    """Nothing is down: too many ask. Between our services, where it must not be taken for an outage."""

    status, error = 429, "busy"


def problem(request: Request, status: int, error: str, message: str, field: str | None = None) -> Response:
    body = Problem(error=error, message=message, field=field, request_id=getattr(request.state, "request_id", None))
    return Response(body.model_dump_json(exclude_none=True), status, media_type="application/json")


def refusal(scope: Scope, error: ServiceError) -> Response:
    """For middleware, which stands before the handlers."""
    response = problem(Request(scope), error.status, error.error, error.message, error.field)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, TooLate):
        response.headers["Connection"] = "close"
    return response


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return refusal(request.scope, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    """422 that names the field as the caller wrote it: `events.3.post_id`, `limit`."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    whole = len(place) == 1 or first["type"] == "json_invalid"  # whose place is a position in the text
    field = place[0] if whole else ".".join(place[1:])
    return problem(request, 422, "invalid_parameter", f"{field}: {first['msg']}", field)


def invalid_parameter_from(error: ValidationError, whole: str) -> InvalidParameter:
    """For a bare route, which reads what it gets by itself. whole: what to name where no field is at fault."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    return InvalidParameter(f"{field}: {first['msg']}", field=field)


async def _http_error(request: Request, error: Exception) -> Response:
    """A framework's refusals. Its 400 is a body that is no text, or nested beyond what can be read."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return problem(request, 422, "invalid_parameter", f"body: {error.detail}", "body")
    response = problem(request, error.status_code, _WORDS.get(error.status_code, "http_error"), str(error.detail))
    response.headers.update(error.headers or {})
    return response


_WORDS: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed", 413: TooLarge.error}


async def _bug(request: Request, error: Exception) -> Response:
    log.error("unhandled_error", path=request.url.path, exc_info=error)
    return problem(request, 500, "internal", "Something went wrong on our side; the log has it.")


def render_errors(app: FastAPI) -> None:
    """Makes `app` answer every error in the one shape."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
