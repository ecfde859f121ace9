"""What would each model show this user? The page's numbers and words as one value, which is also its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from chassis.errors import InvalidParameter
from contracts.assignment import GROUPS, Group
from contracts.experiments import RunningExperiments
from contracts.wire import POST_ID_MAX, USER_ID_MAX, Explanation, FeedRow, Message, Post
from pydantic import Field

from console import words
from console.demo.answers import Answers, liked_lately
from console.demo.reasons import NO_REASON, Because, because
from console.gateway import GatewayError, Preview
from console.words import Fact

K_DEFAULT, K_MAX = 5, 10
LIKED_MAX = 20
LEDE, LIKED_LEDE = 190, 88


class Query(Message):
    user: Annotated[int, Field(ge=0, le=USER_ID_MAX)] | None = None
    k: Annotated[int, Field(ge=1, le=K_MAX)] = K_DEFAULT
    liked: Annotated[tuple[Annotated[int, Field(ge=0, le=POST_ID_MAX)], ...], Field(max_length=LIKED_MAX)] = ()
    """Posts liked on this page, which nobody keeps."""

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Query:
        """Raises InvalidParameter that names the field. An empty field counts as left out."""
        user = _whole(params, "user", 0, USER_ID_MAX)
        k = _whole(params, "k", 1, K_MAX)
        return cls(user=user, k=K_DEFAULT if k is None else k, liked=_ids(params.get("liked", "")))

    def address(self, liked: Sequence[int]) -> str:
        """Of this page with these likes."""
        likes = f"&liked={','.join(map(str, liked))}" if liked else ""
        return f"?user={self.user}&k={self.k}{likes}"


class Person(Message):
    """Who the user is, in words."""

    user_id: int
    known: bool | None
    """None where it could not be read."""
    headline: str
    facts: list[Fact]


class LikedPost(Message):
    post_id: int
    topic: str
    lede: str
    at: datetime
    when: str


class Likes(Message):
    posts: list[LikedPost]
    note: str | None
    """Why there are none, or what is missing."""


class LikedHere(Message):
    """A like on this page. without: the page's address without it."""

    post_id: int
    lede: str
    without: str


class Card(Message):
    rank: int
    post: Post
    lede: str
    rest: str
    rest_words: int
    other_rank: int | None
    standing: str | None
    """None where the other model's list is not known."""
    like: str | None = None
    """The page's address with a like of this post; None where there are enough."""
    reasons: list[Because] = []
    no_reason: str | None = None


class Notice(Message):
    kind: Literal["warn", "plain"]
    text: str


class ModelColumn(Message):
    group: Group
    model: str | None
    version: str | None
    took: str
    notices: list[Notice]
    cards: list[Card]


class Agreement(Message):
    both: int
    of: int
    text: str


class Demo(Message):
    query: Query
    as_of: datetime
    problem: str | None = None
    """Says that nothing could be read at all."""
    person: Person | None = None
    likes: Likes | None = None
    liked_here: list[LikedHere] = []
    columns: list[ModelColumn] = []
    agreement: Agreement | None = None
    live: str | None = None
    """What the live split would give this user."""


def demo_of(query: Query, user_id: int, answers: Answers, now: datetime) -> Demo:
    if answers.nothing:
        return Demo(query=query, as_of=now, problem=words.NO_DATA)
    return Demo(
        query=query,
        as_of=now,
        person=_person(user_id, answers, now),
        likes=_likes(answers, now),
        liked_here=_liked_here(query, answers.posts),
        columns=[_column(group, query, answers) for group in GROUPS],
        agreement=_agreement(answers.previews),
        live=_live(user_id, answers.running, now),
    )


def _person(user_id: int, answers: Answers, now: datetime) -> Person:
    user = answers.user
    if isinstance(user, GatewayError):
        return Person(
            user_id=user_id,
            known=None,
            headline=f"The profile cannot be read: the gateway {user}.",
            facts=_activity(answers, now),
        )
    if user is None:
        known = not isinstance(answers.history, GatewayError) and bool(answers.history)
        line = "Events, but no profile" if known else words.unknown_user(user_id)
        return Person(user_id=user_id, known=known, headline=line, facts=_activity(answers, now) if known else [])
    facts = [
        Fact(label="Device", value=user.os or words.UNKNOWN),
        Fact(label="Came by", value=user.source or words.UNKNOWN),
        Fact(label="Gender code", value=_number(user.gender)),
        Fact(label="Old group code", value=_number(user.exp_group)),
    ]
    return Person(user_id=user_id, known=True, headline=words.headline(user), facts=facts + _activity(answers, now))


def _activity(answers: Answers, now: datetime) -> list[Fact]:
    if isinstance(answers.history, GatewayError) or not answers.history:
        return []
    likes = sum(row.action == "like" for row in answers.history)
    said = f"{words.count(likes, 'like', 'likes')}, {words.count(len(answers.history) - likes, 'view', 'views')}"
    return [
        Fact(label="Last events", value=said),
        Fact(label="Last seen", value=words.moment(answers.history[0].timestamp, now)),
    ]


def _likes(answers: Answers, now: datetime) -> Likes:
    if isinstance(answers.history, GatewayError):
        return Likes(
            posts=[], note=f"The history cannot be read: the gateway {answers.history}. The feeds are not affected."
        )
    rows = liked_lately(answers.history)
    if not rows:
        none = f"No like among the last {words.count(len(answers.history), 'event', 'events')}."
        return Likes(posts=[], note=none if answers.history else "No likes yet.")
    liked = [_liked(row, post, now) for row in rows if isinstance(post := answers.posts[row.post_id], Post)]
    missing = len(rows) - len(liked)
    note = f"{words.count(missing, 'liked post', 'liked posts')} could not be read." if missing else None
    return Likes(posts=liked, note=note)


def _liked(row: FeedRow, post: Post, now: datetime) -> LikedPost:
    lede, _ = words.excerpt(post.text, LIKED_LEDE)
    when = words.moment(row.timestamp, now)
    return LikedPost(post_id=post.id, topic=post.topic, lede=lede, at=row.timestamp, when=when)


def _live(user_id: int, running: RunningExperiments | None, now: datetime) -> str | None:
    """now: real time; experiments go by the platform's."""
    if running is None:
        return None
    now = running.clock.at(now)
    for experiment in (one for one in running.experiments if one.plan.is_seen):
        assignment = experiment.assign(user_id, now)
        if experiment.is_on(now) and assignment.enrolled:
            mode = experiment.plan.mode
            return words.live_split("both, mixed" if mode == "interleave" else assignment.group, experiment.name)
    return words.live_split(running.otherwise, None)


def _liked_here(query: Query, posts: Mapping[int, Post | GatewayError | None]) -> list[LikedHere]:
    return [
        LikedHere(
            post_id=post_id,
            lede=_lede(posts.get(post_id)) or f"post {post_id}",
            without=query.address([other for other in query.liked if other != post_id]),
        )
        for post_id in query.liked
    ]


def _lede(post: Post | GatewayError | None) -> str | None:
    return words.excerpt(post.text, LIKED_LEDE)[0] if isinstance(post, Post) else None


def _column(group: Group, query: Query, answers: Answers) -> ModelColumn:
    previews, k = answers.previews, query.k
    mine, other = previews[group], next(name for name in GROUPS if name != group)
    if isinstance(mine, GatewayError):
        notice = Notice(kind="warn", text=words.no_answer(group, str(mine)))
        return ModelColumn(group=group, model=None, version=None, took=words.UNKNOWN, notices=[notice], cards=[])
    why = {} if mine.degraded else {one.post_id: one for one in answers.reasons.get(group, ())}
    is_known = not mine.cold_start
    return ModelColumn(
        group=group,
        model=mine.model or None,
        version=mine.version or None,
        took=words.duration(mine.seconds),
        notices=_notices(group, mine, k),
        cards=[
            _card(rank, post, other, previews[other], query, because_of(why.get(post.id), answers.posts, is_known))
            for rank, post in enumerate(mine.posts, 1)
        ],
    )


def _notices(group: Group, preview: Preview, k: int) -> list[Notice]:
    notices = []
    if preview.degraded:
        ranked_by = preview.model if preview.posts else ""
        text = words.degraded(group, preview.degraded, ranked_by, preview.seconds)
        notices.append(Notice(kind="warn", text=text))
    if preview.cold_start:
        notices.append(Notice(kind="plain", text="Cold start: ranked without a profile or a history."))
    if len(preview.posts) < k and not preview.degraded:
        notices.append(Notice(kind="plain", text=words.too_few(group, len(preview.posts), k)))
    return notices


def because_of(
    why: Explanation | None, posts: Mapping[int, Post | GatewayError | None], is_known: bool
) -> list[Because]:
    like = None if why is None or why.like is None else _lede(posts.get(why.like))
    return because(why, like, is_known=is_known)


def _card(
    rank: int, post: Post, other: Group, theirs: Preview | GatewayError, query: Query, reasons: list[Because]
) -> Card:
    lede, rest = words.excerpt(post.text, LEDE)
    their_rank, standing = None, None
    if isinstance(theirs, Preview):
        their_rank = next((place for place, one in enumerate(theirs.posts, 1) if one.id == post.id), None)
        standing = words.standing(other, their_rank, query.k)
    return Card(
        rank=rank,
        post=post,
        lede=lede,
        rest=rest,
        rest_words=len(rest.split()),
        other_rank=their_rank,
        standing=standing,
        like=query.address([*query.liked, post.id]) if len(query.liked) < LIKED_MAX else None,
        reasons=reasons,
        no_reason=None if reasons else NO_REASON,
    )


def _agreement(previews: Mapping[Group, Preview | GatewayError]) -> Agreement | None:
    """None unless both models answered themselves: a fallback's list says nothing about the model."""
    answers = [preview for preview in previews.values() if isinstance(preview, Preview) and not preview.degraded]
    of = max((len(preview.posts) for preview in answers), default=0)
    if len(answers) < len(GROUPS) or not of:
        return None
    both = len(set.intersection(*({post.id for post in preview.posts} for preview in answers)))
    return Agreement(both=both, of=of, text=words.agreement(both, of))


def _number(value: int | None) -> str:
    return words.UNKNOWN if value is None else str(value)


def _ids(given: str) -> tuple[int, ...]:
    """Each once, in order."""
    parts = [part.strip() for part in given.split(",") if part.strip()]
    right = all(part.isascii() and part.isdigit() and len(part) <= 10 and int(part) <= POST_ID_MAX for part in parts)
    if not right or len(parts) > LIKED_MAX:
        raise InvalidParameter(f"liked must be at most {LIKED_MAX} ids of posts, with commas", field="liked")
    return tuple(dict.fromkeys(map(int, parts)))


def _whole(params: Mapping[str, str], field: str, least: int, most: int) -> int | None:
    given = params.get(field, "").strip()
    if not given:
        return None
    if given.isascii() and given.isdigit() and len(given) <= len(str(most)) and least <= int(given) <= most:
        return int(given)
    raise InvalidParameter(f"{field} must be a whole number from {least:,} to {most:,}", field=field)
