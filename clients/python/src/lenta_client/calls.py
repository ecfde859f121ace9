"""The gateway's calls: what each sends, and how its answer is read. Nothing here waits or connects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx

from lenta_client.errors import LATER, OF_STATUS, LentaError, Refused, ServerError, Unavailable
from lenta_client.messages import Answer, Event, FeedRow, OwnValue, Page, Post, Profile, checked_id

VERSION = "/v1"
MAX_BATCH = 1_000
"""Events in one `POST /events`."""

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """read: makes the answer of a 2xx."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: object = None

    def sent_by(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        return http.build_request(self.method, f"{VERSION}{self.path}", params=self.params, json=self.body)

    def answer(self, response: httpx.Response) -> T:
        """Raises LentaError."""
        if not response.is_success:
            raise _error(response)
        try:
            return self.read(response)
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(f"{response.url}: not an answer of Lenta's gateway ({error!r})") from error


def headers(key: str | None) -> dict[str, str]:
    """Of every call."""
    return {} if key is None else {"X-API-Key": key}


def recommend(user_id: int, limit: int, time: datetime | None) -> Call[Answer]:
    asked = _asked(user_id, limit, time)
    return Call("GET", "/post/recommendations/", lambda response: _recommended(user_id, response), asked)


def preview(group: str, user_id: int, limit: int, time: datetime | None) -> Call[Answer]:
    asked = _asked(user_id, limit, time)
    return Call(
        "GET",
        f"/{group}/post/recommendations/",
        lambda response: _answer(user_id, None, response.json(), response),
        asked,
    )


def user(user_id: int) -> Call[Profile]:
    return Call("GET", f"/user/{checked_id(user_id, 'user_id')}", _profile)


def post(post_id: int) -> Call[Post]:
    return Call("GET", f"/post/{checked_id(post_id, 'post_id')}", lambda response: _post(response.json()))


def user_feed(user_id: int, limit: int, cursor: str | None) -> Call[Page]:
    return Call("GET", f"/user/{checked_id(user_id, 'user_id')}/feed", _page, _part(limit, cursor))


def post_feed(post_id: int, limit: int, cursor: str | None) -> Call[Page]:
    return Call("GET", f"/post/{checked_id(post_id, 'post_id')}/feed", _page, _part(limit, cursor))


def put_user(user_id: int, profile: Profile) -> Call[None]:
    body = {name: value for name, value in asdict(profile).items() if name != "own"}
    own = {"own": dict(profile.own)} if profile.own else {}
    return Call("PUT", f"/user/{checked_id(user_id, 'user_id')}", _nothing, body=body | own)


def delete_user(user_id: int) -> Call[None]:
    return Call("DELETE", f"/user/{checked_id(user_id, 'user_id')}", _nothing)


def delete_post(post_id: int) -> Call[None]:
    return Call("DELETE", f"/post/{checked_id(post_id, 'post_id')}", _nothing)


def put_post(
    post_id: int, text: str, topic: str, own: Mapping[str, OwnValue] | None = None, expires: datetime | None = None
) -> Call[None]:
    body: dict[str, Any] = {"text": text, "topic": topic}
    if own:
        body["own"] = dict(own)
    if expires is not None:
        body["expires"] = expires.isoformat()
    return Call("PUT", f"/post/{checked_id(post_id, 'post_id')}", _nothing, body=body)


def events(batch: Sequence[Event]) -> Call[None]:
    """batch: 1 to MAX_BATCH."""
    return Call("POST", "/events", _nothing, body={"events": [event.as_json() for event in batch]})


def unanswered(url: httpx.URL, error: httpx.RequestError) -> Unavailable:
    """The connection failed, or nothing that can be read came back over it in time."""
    return Unavailable(f"{url} does not answer ({type(error).__name__}: {error})")


def _asked(user_id: int, limit: int, time: datetime | None) -> dict[str, str | int]:
    asked: dict[str, str | int] = {"id": checked_id(user_id, "user_id"), "limit": limit}
    return asked if time is None else asked | {"time": time.isoformat()}


def _part(limit: int, cursor: str | None) -> dict[str, str | int]:
    return {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}


def _nothing(response: httpx.Response) -> None:
    response.json()["accepted"]


def _recommended(user_id: int, response: httpx.Response) -> Answer:
    body = response.json()
    return _answer(user_id, body["exp_group"], body["recommendations"], response)


def _answer(user_id: int, group: str | None, posts: list[dict[str, Any]], response: httpx.Response) -> Answer:
    said = response.headers
    return Answer(
        user_id=user_id,
        posts=tuple(_post(post) for post in posts),
        group=group,
        request_id=said["X-Request-ID"],
        model=said["X-Model"],
        degraded=tuple(said["X-Degraded"].split(",")) if "X-Degraded" in said else (),
        cold_start="X-Cold-Start" in said,
        short="X-Short" in said,
    )


def _post(said: dict[str, Any]) -> Post:
    return Post(id=said["id"], text=said["text"], topic=said["topic"])


def _profile(response: httpx.Response) -> Profile:
    said = response.json()
    values = {column.name: said.get(column.name) for column in fields(Profile)}
    return Profile(**values | {"own": said.get("own") or {}})


def _page(response: httpx.Response) -> Page:
    return Page(tuple(_row(said) for said in response.json()), response.headers.get("X-Next-Cursor"))


def _row(said: dict[str, Any]) -> FeedRow:
    moment = datetime.fromisoformat(said["timestamp"])
    return FeedRow(moment, said["user_id"], said["post_id"], said["action"], said["target"])


def _error(response: httpx.Response) -> LentaError:
    problem = _problem(response)
    message = str(problem.get("message", f"{response.status_code} from {response.url}"))
    place, request_id = problem.get("field"), problem.get("request_id")
    if response.status_code in LATER:
        return Unavailable(message, retry_after=_seconds(response.headers.get("Retry-After")), request_id=request_id)
    if response.status_code < 500:
        return OF_STATUS.get(response.status_code, Refused)(message, field=place, request_id=request_id)
    return ServerError(message, field=place, request_id=request_id)


def _problem(response: httpx.Response) -> dict[str, Any]:
    """Empty where the answer is a proxy's own."""
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    """Of `Retry-After`, which is a number of seconds or a date (RFC 9110, 10.2.3); None for anything else."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
