"""Rules as a form and back: what was typed is what holds, and a slip is named."""

from __future__ import annotations

import pytest
from console.rules.form import FIELDS, FormFault, field_of, form_of, rules_of
from console.rules.view import said
from contracts.rules import Boost, Freshness, SlateRules

RULES = SlateRules(
    blocked_posts=[17, 42],
    blocked_topics=["covid", "a, b: c"],
    pins={1: 152, 3: 7},
    boosts=[Boost(topic="a, b: c", odds=1.5), Boost(post=9, odds=0.25)],
    most_per_topic=2,
    most_of={"movie": 1},
    min_age_days=0.5,
    max_age_days=30,
    fresh=Freshness(share=0.25, days=3),
    not_again=3,
    diversity=0.5,
)


@pytest.mark.parametrize("rules", [RULES, SlateRules()])
def test_a_form_says_what_the_rules_are(rules: SlateRules) -> None:
    assert rules_of(form_of(rules)) == rules


def test_every_rule_has_a_field_and_every_field_a_value() -> None:
    names = {field.name for _, fields in FIELDS for field in fields}
    assert names == set(form_of(RULES))
    assert {*SlateRules.model_fields} - {"fresh"} <= names


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"blocked_posts": "17, x"}, "blocked_posts", "“x” is no whole number"),
        ({"pins": "152"}, "pins", "no line like"),
        ({"pins": "1: 5\n1: 6"}, "pins", "twice"),
        ({"pins": "1: 5\n2: 5"}, "pins", "pinned to two slots"),
        ({"boosts": "sport: much"}, "boosts", "no number"),
        ({"most_of": "movie: 0"}, "most_of", "greater than or equal to 1"),
        ({"fresh_share": "20"}, "fresh_days", "both"),
        ({"fresh_share": "200", "fresh_days": "3"}, "fresh_share", "less than or equal to 1"),
        ({"min_age_days": "3", "max_age_days": "1"}, "max_age_days", "no post would be left"),
    ],
)
def test_a_slip_is_named_by_its_field(typed: dict[str, str], field: str, says: str) -> None:
    with pytest.raises(FormFault, match=says) as fault:
        rules_of(typed)
    assert fault.value.field == field


def test_the_gateways_fields_are_found_in_the_form() -> None:
    assert field_of(["rules", "pins", "1"]) == "pins"
    assert field_of(["rules", "fresh", "days"]) == "fresh_days"
    assert field_of(["reason"]) == "reason"


def test_rules_are_said_in_words() -> None:
    words = {fact.label: fact.value for fact in said(RULES)}
    assert words["Pinned"] == "post 152 at slot 1, post 7 at slot 3"
    assert words["Fresh"] == "25 % of the slots younger than 3 days"
    assert words["Age, days"] == "from 0.5 to 30"
    assert said(SlateRules()) == []
