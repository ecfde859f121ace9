"""Rule sets and their history in Postgres. What is saved replaces the rules of before, and the history keeps both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from chassis.errors import Conflict, InvalidParameter, NotFound
from contracts.experiments import Plan
from contracts.rules import DEFAULT, Boost, Freshness, RulesChange, RulesEdit, RuleSet, RulesPage, SlateRules
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Integer, Text

from feature_service.database.engine import naive
from feature_service.database.queries import query

SHOWN = 5
"""Posts or topics that a line of the history names; of more it says how many they are."""

_ALL = text("SELECT name, rules, revision FROM rule_sets ORDER BY name")
_ONE = text("SELECT name, rules, revision FROM rule_sets WHERE name = :name")
_HISTORY = text("SELECT at, by, reason, what, revision, rules FROM rule_history WHERE name = :name ORDER BY id")
_PUT = query(__package__, "put_rules", rules=JSONB())
_RECORD = query(__package__, "record_rules", rules=JSONB())
_POSTS = text("SELECT id FROM post_text_df WHERE id = ANY(:ids)").bindparams(bindparam("ids", type_=ARRAY(Integer)))
_TOPICS = text(
    "SELECT topic FROM unnest(:topics) topic WHERE EXISTS (SELECT FROM post_text_df p WHERE p.topic = topic.topic)"
).bindparams(bindparam("topics", type_=ARRAY(Text)))


def rule_set_definitions(connection: Connection) -> dict[str, dict[str, Any]]:
    """By name, as JSON, not validated: what Postgres holds is what gateways get."""
    return {row.name: dict(row._mapping) for row in connection.execute(_ALL)}


def every(connection: Connection) -> list[RuleSet]:
    """By name; `default` though nobody saved it."""
    saved = {name: RuleSet.model_validate(each) for name, each in rule_set_definitions(connection).items()}
    return [*({DEFAULT: RuleSet()} | saved).values()]


def page(connection: Connection, name: str) -> RulesPage:
    """Raises NotFound."""
    rule_set = _saved(connection, name)
    if rule_set is None and name != DEFAULT:
        raise NotFound(f"there is no rule set {name}: PUT /rules/{name} makes one")
    rows = connection.execute(_HISTORY, {"name": name})
    changes = [RulesChange.model_validate(row._asdict() | {"at": row.at.replace(tzinfo=UTC)}) for row in rows]
    return RulesPage(rule_set=rule_set or RuleSet(), history=changes)


def save(connection: Connection, name: str, edit: RulesEdit, now: datetime) -> None:
    """One revision on; nothing where nothing changes. The caller holds `published.LOCK_EXPERIMENTS`.

    Raises Conflict for an edit of an older revision, InvalidParameter for a post or a topic that does not exist.
    """
    before = _saved(connection, name) or RuleSet(name=name)
    if edit.revision is not None and edit.revision != before.revision:
        raise Conflict(
            f"revision: {name} is at revision {before.revision}, this save was made on {edit.revision}: read it again",
            field="revision",
        )
    _refuse_unknown(connection, before.rules, edit.rules)
    if edit.rules == before.rules:
        return
    values = {"name": name, "rules": json.loads(edit.rules.packed), "revision": before.revision + 1}
    connection.execute(_PUT, values)
    what = describe(before.rules, edit.rules)
    connection.execute(_RECORD, {**values, "at": naive(now), "by": edit.by, "reason": edit.reason, "what": what})


def describe(before: SlateRules, after: SlateRules) -> str:
    """Each rule that changed: `most_per_topic: 2; pins: none`."""
    names = [name for name in SlateRules.model_fields if getattr(before, name) != getattr(after, name)]
    return "; ".join(f"{name}: {_said(getattr(after, name))}" for name in names)


def refuse_unknown_sets(connection: Connection, plan: Plan) -> None:
    """Raises InvalidParameter for a plan that names a rule set which nobody has saved."""
    known = {DEFAULT, *rule_set_definitions(connection)}
    for group, name in plan.rule_sets.items():
        if name not in known:
            field = f"plan.rule_sets.{group}"
            raise InvalidParameter(f"{field}: there is no rule set {name}: save it first", field=field)


def _saved(connection: Connection, name: str) -> RuleSet | None:
    row = connection.execute(_ONE, {"name": name}).first()
    return None if row is None else RuleSet.model_validate(row._asdict())


def _said(value: object) -> str:
    if value in (None, 0, [], {}):
        return "none"
    if isinstance(value, Freshness):
        return f"{value.share:.0%} younger than {value.days:g} days"
    if isinstance(value, list) and len(value) > SHOWN:
        return f"{len(value)} of them"
    if isinstance(value, list):
        return ", ".join(map(_named, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} → {each}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _named(value: object) -> str:
    if isinstance(value, Boost):
        return f"{f'post {value.post}' if value.topic is None else value.topic} × {value.odds:g}"
    return str(value)


def _refuse_unknown(connection: Connection, before: SlateRules, after: SlateRules) -> None:
    """What the rules of before name may be gone by now."""
    posts, topics = _posts(after), _topics(after)
    old_posts, old_topics = {each for _, each in _posts(before)}, {each for _, each in _topics(before)}
    new_posts = {each for _, each in posts} - old_posts
    new_topics = {each for _, each in topics} - old_topics
    there = set(connection.execute(_POSTS, {"ids": sorted(new_posts)}).scalars()) if new_posts else set()
    said = set(connection.execute(_TOPICS, {"topics": sorted(new_topics)}).scalars()) if new_topics else set()
    _refuse(posts, new_posts - there, "post")
    _refuse(topics, new_topics - said, "topic")


def _refuse(named: Iterable[tuple[str, object]], unknown: set[Any], kind: str) -> None:
    for field, each in named:
        if each in unknown:
            raise InvalidParameter(f"{field}: there is no {kind} {each!r}", field=field)


def _posts(rules: SlateRules) -> list[tuple[str, int]]:
    """Every post that is named, after its field."""
    boosted = [(place, boost.post) for place, boost in enumerate(rules.boosts)]
    return [
        *((f"rules.blocked_posts.{place}", post) for place, post in enumerate(rules.blocked_posts)),
        *((f"rules.pins.{slot}", post) for slot, post in rules.pins.items()),
        *((f"rules.boosts.{place}.post", post) for place, post in boosted if post is not None),
    ]


def _topics(rules: SlateRules) -> list[tuple[str, str]]:
    boosted = [(place, boost.topic) for place, boost in enumerate(rules.boosts)]
    return [
        *((f"rules.blocked_topics.{place}", topic) for place, topic in enumerate(rules.blocked_topics)),
        *((f"rules.most_of.{topic}", topic) for topic in rules.most_of),
        *((f"rules.boosts.{place}.topic", topic) for place, topic in boosted if topic is not None),
    ]
