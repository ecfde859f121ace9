"""Rules as a form's fields and back: lists by line, as people type them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.rules import Boost, SlateRules
from pydantic import ValidationError


class Field(NamedTuple):
    """kind: `line`, `area` or `number`."""

    name: str
    label: str
    hint: str
    kind: str = "line"


class FormFault(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


FIELDS: list[tuple[str, list[Field]]] = [
    (
        "Never shown",
        [
            Field("blocked_posts", "Blocked posts", "Ids, with commas."),
            Field("blocked_topics", "Blocked topics", "One a line.", "area"),
        ],
    ),
    (
        "Put forward",
        [
            Field("pins", "Pinned", "Slot and post, one a line, like 1: 152.", "area"),
            Field(
                "boosts", "Boosted", "A topic or a post and its odds, one a line: sport: 1.5 or post 7: 0.5.", "area"
            ),
        ],
    ),
    (
        "A mixture",
        [
            Field("most_per_topic", "At most of a topic", "Posts of any one topic in an answer.", "number"),
            Field("most_of", "At most of these topics", "Topic and posts, one a line, like movie: 1.", "area"),
            Field("diversity", "Diversity", "Log-odds that a copy of a post above loses; 0.5 is a little.", "number"),
            Field("not_again", "Not again", "Answers in which no post comes twice, 0 to 20.", "number"),
        ],
    ),
    (
        "Age",
        [
            Field("min_age_days", "At least, days", "From a post’s first view.", "number"),
            Field("max_age_days", "At most, days", "From a post’s first view.", "number"),
            Field("fresh_share", "Fresh, per cent of the slots", "As far as there are fresh posts.", "number"),
            Field("fresh_days", "Fresh is younger than, days", "Both, or neither.", "number"),
        ],
    ),
]


def form_of(rules: SlateRules) -> dict[str, str]:
    """As it would be typed."""
    fresh = rules.fresh
    return {
        "blocked_posts": ", ".join(map(str, rules.blocked_posts)),
        "blocked_topics": "\n".join(rules.blocked_topics),
        "pins": _lines(rules.pins.items()),
        "boosts": "\n".join(f"{_boosted(boost)}: {boost.odds:g}" for boost in rules.boosts),
        "most_per_topic": _number(rules.most_per_topic),
        "most_of": _lines(rules.most_of.items()),
        "diversity": _number(rules.diversity or None),
        "not_again": _number(rules.not_again or None),
        "min_age_days": _number(rules.min_age_days),
        "max_age_days": _number(rules.max_age_days),
        "fresh_share": "" if fresh is None else f"{100 * fresh.share:g}",
        "fresh_days": "" if fresh is None else f"{fresh.days:g}",
    }


def rules_of(form: Mapping[str, str]) -> SlateRules:
    """Raises FormFault that names the field."""
    typed = {name: value.strip() for name, value in form.items() if value.strip()}
    document: dict[str, Any] = {}
    for name, read in _READ.items():
        if name in typed:
            document[name] = _reading(name, read, typed[name])
    if "fresh_share" in typed or "fresh_days" in typed:
        document["fresh"] = _fresh(typed)
    try:
        return SlateRules.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise FormFault(field_of(first["loc"]), message[:1].upper() + message[1:]) from error


def field_of(place: Sequence[int | str]) -> str:
    """The form's field for where an error lies, as pydantic or the gateway says it."""
    parts = [str(part) for part in place if part != "rules"]
    if parts[:1] == ["fresh"]:
        return "fresh_days" if parts[1:2] == ["days"] else "fresh_share"
    return parts[0] if parts else "reason"


def _reading(field: str, read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise FormFault(field, str(error)) from error


def _fresh(typed: Mapping[str, str]) -> dict[str, float]:
    for name in ("fresh_share", "fresh_days"):
        if name not in typed:
            raise FormFault(name, "Missing: a share of fresh posts needs both")
    share, days = (_reading(name, _real, typed[name]) for name in ("fresh_share", "fresh_days"))
    return {"share": share / 100, "days": days}


def _ids(text: str) -> list[int]:
    return [_whole(part) for part in re.split(r"[,\s]+", text) if part]


def _topics(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(text: str) -> list[tuple[str, str]]:
    """Of lines like `movie: 1`: what stands before the last colon may hold others."""
    pairs = []
    for line in _topics(text):
        key, colon, value = line.rpartition(":")
        if not colon or not key.strip() or not value.strip():
            raise ValueError(f"“{line[:60]}” is no line like movie: 1")
        pairs.append((key.strip(), value.strip()))
    return pairs


def _pins(text: str) -> dict[int, int]:
    pairs = [(_whole(slot), _whole(post)) for slot, post in _pairs(text)]
    if len(dict(pairs)) < len(pairs):
        raise ValueError("A slot stands there twice")
    return dict(pairs)


def _limits(text: str) -> dict[str, int]:
    return {topic: _whole(most) for topic, most in _pairs(text)}


def _boosts(text: str) -> list[dict[str, object]]:
    boosts: list[dict[str, object]] = []
    for what, odds in _pairs(text):
        post = re.fullmatch(r"post\s+(\d+)", what)
        boosts.append({**({"post": int(post[1])} if post else {"topic": what}), "odds": _real(odds)})
    return boosts


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"“{text[:60]}” is no whole number")
    return int(text)


def _real(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise ValueError(f"“{text[:60]}” is no number") from error


def _boosted(boost: Boost) -> str:
    return f"post {boost.post}" if boost.topic is None else boost.topic


def _lines(pairs: Iterable[tuple[object, object]]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in pairs)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


_READ: dict[str, Callable[[str], Any]] = {
    "blocked_posts": _ids,
    "blocked_topics": _topics,
    "pins": _pins,
    "boosts": _boosts,
    "most_per_topic": _whole,
    "most_of": _limits,
    "diversity": _real,
    "not_again": _whole,
    "min_age_days": _real,
    "max_age_days": _real,
}
