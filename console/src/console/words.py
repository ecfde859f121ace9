"""The console's words and numbers, made in one place, so that the page and its JSON say the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts import numbers
from contracts.assignment import Group
from contracts.degradation import LAST_SLATE, POPULAR, POPULAR_IN_SEGMENT
from contracts.wire import Message, User

UNKNOWN, count = numbers.UNKNOWN, numbers.count
NO_DATA = "The console cannot read its data. Feeds are not affected."

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+(?=[\"'“‘(#@]?[A-ZА-ЯЁ0-9])")
FALLBACKS = {
    POPULAR: "popular posts",
    POPULAR_IN_SEGMENT: "posts popular with users of this age",
    LAST_SLATE: "the posts that this user was shown last",
}
_SMALLEST_REST = 40


class Fact(Message):
    label: str
    value: str


def duration(seconds: float) -> str:
    """`43 ms`, `1.2 s`, `2 s`."""
    if round(seconds * 1000) < 1000:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def moment(at: datetime, now: datetime) -> str:
    """In UTC: `today 09:41`, `yesterday 23:10`, `21 Nov 14:02`, with the year where it is another."""
    days = (now.date() - at.date()) // timedelta(days=1)
    near = {0: "today", 1: "yesterday"}.get(days)
    if near is not None:
        return f"{near} {at:%H:%M}"
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {at:%b}{year} {at:%H:%M}"


def headline(user: User) -> str:
    """Age and place in one line; the rest of the profile is a list of facts."""
    age = "" if user.age is None else count(user.age, "year old", "years old")
    return ", ".join(part for part in (age, user.city, user.country) if part) or "An empty profile"


def excerpt(text: str, limit: int) -> tuple[str, str]:
    """The first sentences up to about `limit` characters, and the rest ("" when nothing worth hiding is left)."""
    text = " ".join(text.split())
    if len(text) <= limit + _SMALLEST_REST:
        return text, ""
    end = 0
    for boundary in _SENTENCE_END.finditer(text):
        if boundary.start() > limit:
            break
        end = boundary.start() + len(boundary.group().rstrip())
    if end < limit // 3:
        return _cut(text, limit)
    if len(text) - end <= _SMALLEST_REST:
        return text, ""
    return text[:end], text[end:].lstrip()


def _cut(text: str, limit: int) -> tuple[str, str]:
    """Between two words where there are any."""
    end = text.rfind(" ", limit // 2, limit)
    end = limit if end < 0 else end
    return f"{text[:end].rstrip(' ,;:-')}…", f"…{text[end:].lstrip()}"


def standing(other: Group, rank: int | None, k: int) -> str:
    """Where a post stands in the other model's list."""
    return f"not in {other}’s top {k}" if rank is None else f"{other}: {rank}"


def agreement(both: int, of: int) -> str:
    return f"{both} of {of} posts in both" if of != 1 else ("The same post in both" if both else "Two different posts")


def degraded(group: Group, reasons: Sequence[str], model: str, seconds: float) -> str:
    """For an answer that the gateway flagged. `model`: who ranked it instead, the group's own where only something is
    missing, "" where nobody had any post."""
    why = ", ".join(reason.replace("_", " ") for reason in reasons)
    if model == group:
        return f"{group} answered in {duration(seconds)}, but not in full: {why}."
    asked = any(reason.startswith("ranker") for reason in reasons)
    said = "did not answer" if asked else "could not be asked"
    if not model:
        return no_answer(group, f"{said} ({why})")
    return f"{group} {said} ({why}). Showing {FALLBACKS.get(model, model)}, as the live feed would."


def no_answer(group: Group, why: str) -> str:
    """`why`: the text of a GatewayError."""
    return f"{group} {why}. There are no posts to show."


def too_few(group: Group, left: int, k: int) -> str:
    if not left:
        return f"{group} has no post left for this user: liked posts never come back."
    return f"{group} has only {left} of {k} posts left for this user: liked posts never come back."


def unknown_user(user_id: int) -> str:
    return f"Nobody here has the id {user_id}. Both models answer from a cold start, as for a newcomer."


def live_split(group: str, experiment: str | None) -> str:
    """experiment: None for whoever takes part in none."""
    if experiment is None:
        return f"Live split: this user is in no running experiment, and gets {group}."
    return f"Live split would give this user: {group} (experiment {experiment})"
