"""The console's words and numbers: cases that one can check by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contracts.wire import User
from hypothesis import given
from hypothesis import strategies as st

from console import words

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0001, "1 ms"), (0.0432, "43 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (1.24, "1.2 s"), (2.0, "2 s")],
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (datetime(2026, 3, 14, 0, 0, tzinfo=UTC), "today 00:00"),
        (datetime(2026, 3, 13, 23, 59, tzinfo=UTC), "yesterday 23:59"),
        (datetime(2026, 3, 2, 7, 5, tzinfo=UTC), "2 Mar 07:05"),
        (datetime(2025, 12, 31, 7, 5, tzinfo=UTC), "31 Dec 2025 07:05"),
        (datetime(2026, 3, 15, 7, 5, tzinfo=UTC), "15 Mar 07:05"),
    ],
)
def test_moments_name_the_day_as_far_as_needed(at: datetime, said: str) -> None:
    assert words.moment(at, NOW) == said


def test_an_excerpt_ends_with_a_sentence() -> None:
    text = "One short sentence. " + "Another one that goes on for a while. " * 5
    lede, rest = words.excerpt(text, 70)
    assert lede == "One short sentence. Another one that goes on for a while."
    assert f"{lede} {rest}" == text.strip()


def test_a_quote_stays_with_its_sentence() -> None:
    text = 'He said: "It is over." Then he left the room, ' + "slowly and without a word, " * 4
    assert words.excerpt(text, 40)[0] == 'He said: "It is over."'


def test_a_text_without_sentences_is_cut_between_words() -> None:
    lede, rest = words.excerpt("word " * 60, 52)
    assert lede == "word word word word word word word word word word…"
    assert rest.startswith("…word")


def test_a_text_without_spaces_is_cut_all_the_same() -> None:
    assert words.excerpt("x" * 200, 50) == ("x" * 50 + "…", "…" + "x" * 150)


def test_a_short_text_is_shown_whole() -> None:
    assert words.excerpt(" Two  words.\n", 100) == ("Two words.", "")


@given(st.text(max_size=400), st.integers(30, 200))
def test_no_letter_of_a_text_is_lost(text: str, limit: int) -> None:
    lede, rest = words.excerpt(text, limit)
    shown = (lede.removesuffix("…") + rest.removeprefix("…")) if rest.startswith("…") else lede + rest
    assert [c for c in shown if c.isalnum()] == [c for c in text if c.isalnum()]
    assert len(lede) <= limit + 41


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (User(user_id=1, age=34, city="Omsk", country="Russia"), "34 years old, Omsk, Russia"),
        (User(user_id=1, age=1), "1 year old"),
        (User(user_id=1, country="Russia"), "Russia"),
        (User(user_id=1), "An empty profile"),
    ],
)
def test_a_profile_reads_as_words(user: User, said: str) -> None:
    assert words.headline(user) == said


def test_a_standing_names_the_other_group() -> None:
    assert words.standing("control", 4, 5) == "control: 4"
    assert words.standing("test", None, 3) == "not in test’s top 3"


def test_a_degraded_answer_says_what_is_shown_instead() -> None:
    said = words.degraded("test", ["ranker_timeout"], "popular", 0.12)
    assert said == "test did not answer (ranker timeout). Showing popular posts, as the live feed would."


def test_a_model_that_nobody_could_ask_is_not_called_silent() -> None:
    said = words.degraded("control", ["features_refused"], "popular_in_segment", 0.05)
    assert said.startswith(
        "control could not be asked (features refused). Showing posts popular with users of this age,"
    )


def test_a_model_that_answered_in_part_is_not_called_silent() -> None:
    assert words.degraded("test", ["unlogged"], "test", 0.012) == "test answered in 12 ms, but not in full: unlogged."


def test_counts_agree_with_their_nouns() -> None:
    assert words.count(1, "like", "likes") == "1 like"
    assert words.count(24913, "like", "likes") == "24,913 likes"
