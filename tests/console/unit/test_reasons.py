"""A model's reasons in words."""

from __future__ import annotations

import math

import pytest
from console.demo.reasons import WORDS, because, reason_words
from contracts.features import SCHEMA
from contracts.wire import Explanation, Reason
from ranker_control.encoder import TextEncoder
from ranker_test.encoder import TowerEncoder


def explained(*reasons: tuple[str, float]) -> Explanation:
    made = [Reason(feature=name, value=1.0, contribution=weight) for name, weight in reasons]
    return Explanation(post_id=1, score=0.2, bias=-2.0, reasons=made)


def test_every_feature_of_both_models_has_words() -> None:
    assert {*SCHEMA, *TextEncoder.columns, *TowerEncoder.columns} <= WORDS.keys()


def test_the_three_strongest_reasons_are_given_with_their_direction() -> None:
    result = because(explained(("age", 0.01), ("post_rate", -0.4), ("topic", 0.2), ("taste", 0.9), ("city", 0.0)))
    assert [(one.text, one.raises) for one in result] == [
        ("the user’s taste as a whole", True),
        ("how often the post is liked", False),
        ("the post’s topic", True),
    ]


def test_no_explanation_is_no_reason() -> None:
    assert because(None) == because(explained()) == []


@pytest.mark.parametrize(
    ("feature", "value", "said"),
    [
        ("post_age_days", 2.2, "the post’s age: 2 days"),
        ("post_age_days", 0.3, "the post’s age: under a day"),
        ("post_views", math.log1p(1234), "how often the post was seen: 1,234"),
        ("age", 34.0, "the user’s age: 34"),
        ("days_since_like", math.nan, "since the user’s last like"),
        ("days_since_like", None, "since the user’s last like"),
        ("topic_rate", -2.1, "how often the topic is liked"),
        ("a_new_feature", 0.1, "a new feature"),
    ],
)
def test_a_value_is_said_where_it_says_something(feature: str, value: float | None, said: str) -> None:
    assert reason_words(feature, value) == said
