"""What the API's description says besides the types: parameters, headers, errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from chassis.errors import NotFound
from contracts.assignment import Group
from contracts.headers import COLD_START, DEGRADED, MODEL, NEXT_CURSOR, REQUEST_ID, RULES, SHORT
from contracts.rules import RuleSetName
from contracts.wire import POST_ID_MAX, Problem, Time, UserId
from fastapi import Depends, Path, Query
from pydantic import AfterValidator

from gateway.state import UpstreamsDep

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 1, 1, tzinfo=UTC)
"""Times travel in 32 bits of seconds."""


def _within(time: datetime) -> datetime:
    if not FIRST <= time < LAST:
        raise ValueError(f"from {FIRST.year} to {LAST.year - 1}")
    return time


Id = Annotated[UserId, Query(alias="id", description="The user's id; it may be an unknown user's.", examples=[200])]
Limit = Annotated[int, Query(ge=1, le=100, description="How many posts.", examples=[5])]
At = Annotated[
    Annotated[Time, AfterValidator(_within)] | None,
    Query(
        alias="time",
        description="The time to recommend for, ISO 8601, UTC where no zone is given; now if missing.",
        examples=["2021-12-01T10:00:00"],
    ),
]


async def _group(
    upstreams: UpstreamsDep,
    group: Annotated[str, Path(description="Whose posts: control's, test's, or another ranker's.", examples=["test"])],
) -> Group:
    """Raises NotFound: a path that names no ranker is no path of ours."""
    if group in upstreams.rankers:
        return group
    raise NotFound(f"there is no group {group[:40]!r}; there are {' and '.join(upstreams.rankers)}")


ByRules = Annotated[
    RuleSetName,
    Query(description="The rule set that holds; one that nobody has saved has no rules.", examples=["default"]),
]


def _post_ids(written: str) -> str:
    if any(int(post) > POST_ID_MAX for post in filter(None, written.split(","))):
        raise ValueError(f"a post's id is at most {POST_ID_MAX}")
    return written


Liked = Annotated[
    Annotated[str, AfterValidator(_post_ids)],
    Query(
        pattern=r"^([0-9]{1,10}(,[0-9]{1,10}){0,19})?$",
        description="Posts, at most 20 with commas, to answer as if the user had just liked them; nothing is kept.",
        examples=[""],
    ),
]
InGroup = Annotated[Group, Depends(_group)]
Responses = dict[int | str, dict[str, Any]]

_WORDS = {
    401: "No valid key.",
    403: "A key that may not do this, or administration is closed.",
    404: "Not found.",
    408: "The body did not arrive in time.",
    409: "Not allowed in this state, or somebody else saved in the meantime.",
    413: "The body is too large.",
    422: "A parameter is malformed; `field` names it.",
    429: "Too many calls of this one caller. `Retry-After` says when to ask again.",
    503: "Not now: too many requests, or a part of the platform is down. `Retry-After` says when to ask again.",
}


def problems(*statuses: int) -> Responses:
    """All errors have one shape."""
    retry = {"Retry-After": _header("Seconds until it is worth asking again.", "integer")}
    return {
        status: {"model": Problem, "description": _WORDS[status]} | ({"headers": retry} if status in (429, 503) else {})
        for status in statuses
    }


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


_SLATE = {
    REQUEST_ID: _header("The request's key, made by us; the exposure's key where the answer is one."),
    MODEL: _header(
        "`name@version` of the model that ranked, or the fallback: `last_slate`, `popular_in_segment`, `popular`."
    ),
    DEGRADED: _header(
        "Why the answer is not the model's own full answer, reasons separated by commas; absent when it is."
    ),
    COLD_START: _header("`1` where the platform knows neither profile nor history of the user; absent otherwise."),
    SHORT: _header(
        "`1` where fewer posts than asked for are left that the user has not liked and rules allow; absent otherwise."
    ),
    RULES: _header("The rule set that held for the answer, as `default@3`; absent where it has no rule."),
}
SLATE: Responses = {200: {"headers": _SLATE}, **problems(401, 403, 422, 503)}
SLATE_OF_GROUP: Responses = {200: {"headers": _SLATE}, **problems(401, 403, 404, 422, 503)}
EXPLAINED: Responses = {
    200: {"headers": {name: _SLATE[name] for name in (REQUEST_ID, MODEL, COLD_START)}},
    **problems(401, 403, 404, 422, 503),
}
PAGE: Responses = {
    200: {"headers": {NEXT_CURSOR: _header("Where the next page begins; absent on the last.")}},
    **problems(401, 403, 422, 503),
}
ONE = problems(401, 403, 404, 422, 503)
WRITING = problems(401, 403, 408, 413, 422, 503)
OURS = problems(401, 403, 503)
ONE_OF_OURS: Responses = {
    200: {"headers": {"ETag": _header("For `If-None-Match`: 304 for as long as nothing has changed.")}},
    304: {"description": "Unchanged."},
    **problems(401, 403, 404, 422, 503),
}
REPORT_CSV: Responses = {
    200: {"description": "One line per number.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    **problems(401, 403, 404, 422, 503),
}
ADMINISTERED = problems(401, 403, 404, 408, 409, 413, 422, 503)
