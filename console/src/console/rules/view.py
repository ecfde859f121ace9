"""Rule sets in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts.rules import RulesPage, SlateRules
from contracts.wire import Message

from console.words import Fact, count


class Line(Message):
    when: str
    at: str
    by: str
    reason: str
    what: str


class Section(Message):
    """One set. log: newest first."""

    name: str
    revision: int
    rules: list[Fact]
    log: list[Line]


def sections_of(pages: Sequence[RulesPage]) -> list[Section]:
    return [
        Section(
            name=each.rule_set.name,
            revision=each.rule_set.revision,
            rules=said(each.rule_set.rules),
            log=[
                Line(
                    when=f"{change.at:%d %b %H:%M}",
                    at=change.at.isoformat(),
                    by=change.by,
                    reason=change.reason,
                    what=change.what,
                )
                for change in reversed(each.history)
            ],
        )
        for each in pages
    ]


def said(rules: SlateRules) -> list[Fact]:
    """Each rule that holds, as people say it."""
    fresh = rules.fresh
    boosts = [
        f"{f'post {boost.post}' if boost.topic is None else boost.topic} × {boost.odds:g}" for boost in rules.boosts
    ]
    values = {
        "Blocked posts": _listed(rules.blocked_posts),
        "Blocked topics": _listed(rules.blocked_topics),
        "Pinned": _listed(f"post {post} at slot {slot}" for slot, post in sorted(rules.pins.items())),
        "Boosted, odds": _listed(boosts),
        "At most of a topic": "" if rules.most_per_topic is None else count(rules.most_per_topic, "post", "posts"),
        "At most of": _listed(f"{topic}: {most}" for topic, most in rules.most_of.items()),
        "Age, days": _ages(rules),
        "Fresh": "" if fresh is None else f"{100 * fresh.share:g} % of the slots younger than {fresh.days:g} days",
        "Not again": count(rules.not_again, "answer", "answers") if rules.not_again else "",
        "Diversity": f"{rules.diversity:g}" if rules.diversity else "",
    }
    return [Fact(label=label, value=value) for label, value in values.items() if value]


def _ages(rules: SlateRules) -> str:
    if rules.min_age_days is None and rules.max_age_days is None:
        return ""
    least = "" if rules.min_age_days is None else f"from {rules.min_age_days:g} "
    return f"{least}{'on' if rules.max_age_days is None else f'to {rules.max_age_days:g}'}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
