"""Rule sets from files and options, and as people read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from contracts.rules import RulesEdit, RuleSet, RulesPage, SlateRules
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.errors import LentaError
from pipeline.experiment.documents import first_fault, read_document


def read_rules(path: Path) -> SlateRules:
    """A TOML file (by its suffix) or JSON. Raises LentaError that names the rule."""
    return _rules(read_document(path, "--file"), f"--file {path}")


def edit_of(rules: SlateRules, reason: str, by: str, revision: int) -> RulesEdit:
    """Raises LentaError that names the option."""
    try:
        return RulesEdit(rules=rules, reason=reason, by=by, revision=revision)
    except ValidationError as error:
        raise LentaError(f"--{first_fault(error)}") from error


def blocked(rules: SlateRules, posts: Sequence[int], topics: Sequence[str]) -> SlateRules:
    """And pinned no more. Raises LentaError where nothing is named."""
    _need_some(posts, topics)
    return _changed(
        rules,
        blocked_posts=[*dict.fromkeys([*rules.blocked_posts, *posts])],
        blocked_topics=[*dict.fromkeys([*rules.blocked_topics, *topics])],
        pins={slot: post for slot, post in rules.pins.items() if post not in posts},
    )


def unblocked(rules: SlateRules, posts: Sequence[int], topics: Sequence[str]) -> SlateRules:
    """Raises LentaError where nothing is named."""
    _need_some(posts, topics)
    return _changed(
        rules,
        blocked_posts=[post for post in rules.blocked_posts if post not in posts],
        blocked_topics=[topic for topic in rules.blocked_topics if topic not in topics],
    )


def pinned(rules: SlateRules, post: int, slot: int) -> SlateRules:
    """At this slot alone."""
    return _changed(rules, pins={**unpinned(rules, post).pins, slot: post})


def unpinned(rules: SlateRules, post: int) -> SlateRules:
    return _changed(rules, pins={slot: each for slot, each in rules.pins.items() if each != post})


def sets_table(sets: Sequence[RuleSet]) -> Table:
    table = Table("set", "revision", "rules", box=None, pad_edge=False)
    for each in sets:
        table.add_row(each.name, str(each.revision), escape(", ".join(_held(each.rules))) or "none")
    return table


def print_rules(page: RulesPage, console: Console) -> None:
    rule_set = page.rule_set
    _line(console, f"[bold]{rule_set.name}[/bold], revision {rule_set.revision}")
    table = Table.grid(padding=(0, 2))
    for name, value in _held(rule_set.rules).items():
        table.add_row(f"[dim]{name}[/dim]", escape(json.dumps(value, ensure_ascii=False)))
    console.print(table if table.row_count else "no rule")
    for change in page.history:
        _line(console, f"\n{change.at:%Y-%m-%d %H:%M} UTC, {escape(change.by)}: {escape(change.reason)}")
        _line(console, f"  revision {change.revision}: {escape(change.what)}")


def _held(rules: SlateRules) -> dict[str, object]:
    """By name, those that are set."""
    return rules.model_dump(mode="json", exclude_defaults=True)


def _changed(rules: SlateRules, **values: object) -> SlateRules:
    """Checked again as a whole. Raises LentaError."""
    return _rules({**rules.model_dump(mode="json", exclude_defaults=True), **values}, "these rules")


def _rules(document: object, what: str) -> SlateRules:
    try:
        return SlateRules.model_validate(document)
    except ValidationError as error:
        raise LentaError(f"{what}: {first_fault(error)}") from error


def _need_some(posts: Sequence[int], topics: Sequence[str]) -> None:
    if not posts and not topics:
        raise LentaError("name what is meant by --post or --topic")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
