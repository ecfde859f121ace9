"""The JSON that crosses a service's border. Frozen and strict: an unknown field is an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from contracts.assignment import Group, Mode

MAX_BATCH = 1_000
"""Events in one `POST /events`."""

USER_ID_MAX = POST_ID_MAX = 2**31 - 1
UserId = Annotated[int, Field(ge=0, le=USER_ID_MAX)]
PostId = Annotated[int, Field(ge=0, le=POST_ID_MAX)]
"""As a path and a query write them: in a message `Strict` goes with them, where `true` is no 1."""
Strict = Field(strict=True)


def _utc_if_naive(value: object) -> object:
    """A timestamp without zone is UTC, as everywhere on the platform."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError("a time in ISO 8601, like 2026-11-24T10:00:00Z")  # noqa: TRY004 - which pydantic lets through
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:  # the first hours of the year 1, east of Greenwich
        raise ValueError("out of range") from error


Time = Annotated[AwareDatetime, BeforeValidator(_utc_if_naive), AfterValidator(_in_utc)]


def _without_nul(value: str) -> str:
    """Postgres stores no NUL in a text: refused here, rather than failing behind it."""
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


Text = Annotated[str, Field(max_length=100_000), AfterValidator(_without_nul)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]
Key = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_without_nul)]


OwnValue = (
    Annotated[str, Field(max_length=200), AfterValidator(_without_nul)]
    | Annotated[float, Strict, Field(ge=-1e38, le=1e38, allow_inf_nan=False)]
    | None
)
"""Of a column that a team declared (`contracts.own`): a category, a number, or missing."""
OwnValues = Annotated[dict[str, OwnValue], Field(max_length=64)]


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Post(Message):
    id: PostId
    text: str
    topic: str


class Recommendations(Message):
    exp_group: Group
    recommendations: list[Post]


class UserProfile(Message):
    """What a user filled in. Everything may be missing."""

    age: Annotated[int, Strict, Field(ge=0, le=130)] | None = None
    gender: Annotated[int, Strict, Field(ge=0, le=1)] | None = None
    country: Name | None = None
    city: Name | None = None
    exp_group: Annotated[int, Strict, Field(ge=0, le=254)] | None = None
    os: Name | None = None
    source: Name | None = None
    own: OwnValues | None = None
    """By the names that the team declared; those that are not said are missing."""


class User(UserProfile):
    user_id: UserId


class PostContent(Message):
    text: Text
    topic: Name
    expires: Time | None = None
    """From when on nobody is shown it, by the platform's clock; never if missing."""
    own: OwnValues | None = None


class Event(Message):
    """A view or a like. `key` is the client's idempotency key, unique for the user: the event's identity."""

    key: Key
    user_id: Annotated[UserId, Strict]
    post_id: Annotated[PostId, Strict]
    action: Literal["view", "like"]
    timestamp: Time | None = None
    """When it happened; the time of arrival if missing."""
    request_id: Key | None = None
    """`X-Request-ID` of the answer in which the post was seen, where the client kept it."""


class EventBatch(Message):
    events: Annotated[list[Event], Field(min_length=1, max_length=MAX_BATCH)]


class Accepted(Message):
    accepted: int


class FeedRow(Message):
    """One row of `feed_data`."""

    timestamp: Time
    user_id: int
    post_id: int
    action: Literal["view", "like"]
    target: int | None


class FeedPage(Message):
    rows: list[FeedRow]
    next_cursor: str | None = None


Rule = Literal["blocked", "age", "shown", "pinned", "most_per_topic", "fresh", "boosted", "diversity"]
"""By which a post was moved or kept out."""


class Move(Message):
    """What one rule did to a post. slot: where it stands now, from 1 on; None: it was kept out. own: where it stood in
    the model's own list; None: beyond the posts that were asked for."""

    post: PostId
    rule: Rule
    slot: int | None = None
    own: int | None = None


class Exposure(Message):
    """An answered recommendation of an enrolled user. `key` is made by the gateway."""

    key: Key
    user_id: UserId
    experiment: str
    mode: Mode = "ab"
    group: Group
    """To which the user was assigned, whatever the mode; `ranker` and `teams` say whose posts were shown."""
    ranker: Group
    """Whose posts stand there; of an interleaved list, the first slot's."""
    model: str
    """Of the model that ranked, or of the fallback. Of an interleaved list both, as `control+test`."""
    model_version: str
    """Empty for a fallback. Of an interleaved list both, as `1+2`."""
    posts: list[PostId]
    scores: list[float] = []
    """As the ranker gave them, one a post; empty for a fallback."""
    teams: str | None = None
    """Interleaving: one letter a slot, `c` or `t`: whose ranker's post stands there."""
    propensities: list[Annotated[float, Field(gt=0, le=1)]] | None = None
    """With exploration: the probability with which each slot held this post."""
    degraded: str | None = None
    asked_for: Time
    """The moment for which the posts were ranked."""
    served_at: Time
    took_ms: Annotated[float, Field(ge=0)] = 0.0
    """From arrival to this record."""
    weight_period: int = 0
    rules: str | None = None
    """The rule set that held, as `default@3`; None where it had no rule."""
    moves: list[Move] = []
    """What rules did to the model's own list, or to the fallback's."""
    likes: list[PostId] = []
    """Which of its posts were liked: filled in where an exposure is read back, never where one is recorded."""


class Assigned(Message):
    """A user was assigned, when the first request of a weight period came, whatever became of the request."""

    experiment: str
    user_id: UserId
    group: Group
    weight_period: int
    at: Time


class Shadowed(Message):
    """What the other ranker would have answered; nobody saw it. `key` is the exposure's."""

    key: Key
    user_id: UserId
    experiment: str
    ranker: Group
    model: str = ""
    model_version: str = ""
    posts: list[PostId] = []
    took_ms: float
    failed: str | None = None
    """Why there is no answer."""


class Assignments(Message):
    assigned: Annotated[list[Assigned], Field(min_length=1, max_length=MAX_BATCH)]


class PostIds(Message):
    ids: Annotated[list[PostId], Field(max_length=10_000)]


class Posts(Message):
    posts: list[Post]


class PopularPosts(Message):
    """What the gateway falls back on: most liked first, over all users and by age band."""

    overall: list[Post]
    segments: dict[str, list[Post]]
    first_view_at: dict[PostId, int] = {}
    """Of each of these posts, in seconds since the epoch; 0 for one that nobody has seen."""


class Ruled(Message):
    """What the gateway needs to know to apply rules to a ranking. topics, first_view_at: of each of its posts.

    pool: how many of the posts are to choose from; those behind are to explore.
    """

    pool: int
    topics: list[str]
    first_view_at: list[int]
    own: list[PostId]
    """The model's own list, as long as was asked for, without any rule."""
    kept_out: dict[PostId, Rule] = {}
    """The rule by which posts of the own list are not in the pool."""


class Ranking(Message):
    """A ranker's answer: post ids, best first, and their scores."""

    model: str
    version: str
    posts: list[PostId]
    scores: list[float]
    """Of this one model, not comparable across models. Rules change the order, and no score."""
    ruled: Ruled | None = None
    """Where rules were sent along."""


class Reason(Message):
    """value: of the model's column, None where it is missing. contribution: what it moves the post's score by."""

    feature: str
    value: float | None
    contribution: float


class Explanation(Message):
    """Why a model gave a post its score. bias, the reasons' contributions, and rest add up to the score: log-odds."""

    post_id: PostId
    score: float
    bias: float
    """The same for every post of the user."""
    reasons: list[Reason]
    """The strongest first."""
    rest: float = 0.0
    """The contributions of all other columns."""
    rule: Rule | None = None
    """By which it stands there, whatever its score."""
    like: PostId | None = None
    """The post liked by the user that the model sees as most alike; None where none is much alike."""


class Explanations(Message):
    """A ranker's answer to `/explain`: its ranking, post by post."""

    model: str
    version: str
    posts: list[Explanation]


class AlikePost(Message):
    """likeness: the cosine of the two posts' vectors, as one model sees them."""

    post_id: PostId
    likeness: float


class AlikePosts(Message):
    """A ranker's answer to `/similar/{post}`, the most alike first."""

    model: str
    version: str
    posts: list[AlikePost]


class Problem(Message):
    """The one shape of every error."""

    error: str
    """A stable word, like `invalid_parameter`."""
    message: str
    field: str | None = None
    request_id: str | None = None
