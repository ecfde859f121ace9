"""The words that are stored with exposures, which must never change, and what guardrails count by them."""

from __future__ import annotations

import re
from typing import get_args

from contracts import degradation
from contracts.degradation import Failure, joined, reason

FEATURES = ["features_timeout", "features_refused", "features_error", "features_open", "features_bug"]
RANKER = ["ranker_timeout", "ranker_refused", "ranker_error", "ranker_open", "ranker_bug"]


def test_the_words_are_those_of_all_exposures_before() -> None:
    failures: tuple[Failure, ...] = get_args(Failure)
    assert [reason("features", failure) for failure in failures] == FEATURES
    assert [reason("ranker", failure) for failure in failures] == RANKER
    assert (degradation.UNLOGGED, degradation.TEXTS, degradation.FALLBACK_VERSION) == ("unlogged", "texts", "")
    assert (degradation.LAST_SLATE, degradation.POPULAR_IN_SEGMENT, degradation.POPULAR) == (
        "last_slate", "popular_in_segment", "popular",
    )  # fmt: skip


def test_the_pattern_holds_for_a_failed_ranker_and_for_nothing_else() -> None:
    pattern = degradation.RANKER_FAILED_LIKE.replace(r"\_", "_").replace("%", ".*")
    others = [*FEATURES, degradation.UNLOGGED, degradation.TEXTS]
    assert all(re.fullmatch(pattern, word) for word in RANKER)
    assert not any(re.fullmatch(pattern, word) for word in others)
    assert re.fullmatch(pattern, joined([RANKER[0], "unlogged"]))
    assert not re.fullmatch(pattern, joined(others))
    assert joined([]) == ""
