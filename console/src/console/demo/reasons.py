"""Why a model put a post where it stands: its own strongest reasons, in words."""

from __future__ import annotations

import math
from collections.abc import Callable

from contracts.wire import Explanation, Message, Rule

from console.words import count

MOST_REASONS = 3
NO_REASON = "No reason given"
OF_POSTS = {"topic", "topic_rate", "post_views", "post_rate", "post_age_days", "post_log_age", "post_exposure"}
"""What can be said of a post to anybody."""
RULES: dict[Rule, str] = {
    "pinned": "it is pinned to this slot",
    "fresh": "a share of the posts has to be fresh",
    "boosted": "it is boosted",
    "blocked": "it is blocked",
    "age": "its age",
    "shown": "it was shown lately",
    "most_per_topic": "its topic has a limit",
    "diversity": "it is like others",
}


class Because(Message):
    """raises: whether it lifts the post in this model's order, or lowers it."""

    text: str
    raises: bool


def because(explanation: Explanation | None, like: str | None = None, *, is_known: bool = True) -> list[Because]:
    """A rule first, then the liked post that it is like, then the strongest; empty where the ranker gave none.

    like: how the post that `explanation` names begins. is_known: of a user who is nobody to the platform no reason
    speaks.
    """
    if explanation is None:
        return []
    known = [
        reason for reason in explanation.reasons if reason.contribution and (is_known or reason.feature in OF_POSTS)
    ]
    strongest = sorted(known, key=lambda reason: abs(reason.contribution), reverse=True)
    said = [
        Because(text=reason_words(reason.feature, reason.value), raises=reason.contribution > 0) for reason in strongest
    ]
    first = [] if explanation.rule is None else [Because(text=f"a rule: {RULES[explanation.rule]}", raises=True)]
    if like is not None:
        first.append(Because(text=f"because the user liked “{like}”", raises=True))
    return [*first, *said][: MOST_REASONS + len(first)]


def reason_words(feature: str, value: float | None) -> str:
    """A feature in words, with its value where it says something to a person."""
    words = WORDS.get(feature, feature.replace("_", " "))
    said = _VALUES[feature](value) if feature in _VALUES and value is not None and math.isfinite(value) else ""
    return f"{words}: {said}" if said else words


WORDS = {
    "age": "the user’s age",
    "gender": "the user’s gender",
    "exp_group": "the user’s old group",
    "os": "the user’s device",
    "source": "how the user came",
    "country": "the user’s country",
    "city": "the user’s city",
    "user_views": "how much the user has read",
    "user_rate": "how often the user likes posts",
    "days_since_view": "since the user’s last view",
    "days_since_like": "since the user’s last like",
    "topic": "the post’s topic",
    "topic_rate": "how often the topic is liked",
    "post_views": "how often the post was seen",
    "post_rate": "how often the post is liked",
    "post_age_days": "the post’s age",
    "user_topic_views": "how much the user has read of the topic",
    "user_topic_rate": "how often the user likes the topic",
    "user_topic_lift": "how much more the user likes the topic than others",
    "user_topic_by_post": "the user’s liking of the topic and the post’s own success",
    "segment_topic_lift": "how people like the user take to the topic",
    "segment_post_lift": "how people like the user take to the post",
    "post_exposure": "how widely the post was shown",
    "seen": "times that the user has seen the post",
    "post_log_age": "how new the post is",
    "post_own_rate": "how often the post itself was liked",
    "text_taste": "its text is like what the user liked",
    "topic_taste": "the user’s taste within the topic",
    "tower": "the network’s match of user and post",
    "shared_topic_taste": "what readers of like taste chose within the topic",
    "shared_taste": "what readers of like taste chose",
    "taste": "the user’s taste as a whole",
    "collaborative_taste": "liked by people who liked the same posts",
    "recent_taste": "liked by people who liked what the user liked lately",
    "mood": "like what the user has just liked",
    "text_quality": "what its text promises",
    "liked_before": "the user liked it before",
    "liked_copy": "the user liked another post that says the same",
}


def _days(value: float) -> str:
    return "under a day" if value < 1 else count(round(value), "day", "days")


def _logged(value: float) -> str:
    return f"{round(math.expm1(min(value, 30.0))):,}"


_VALUES: dict[str, Callable[[float], str]] = {
    "age": lambda value: f"{value:.0f}",
    "user_views": _logged,
    "post_views": _logged,
    "user_topic_views": _logged,
    "days_since_view": _days,
    "days_since_like": _days,
    "post_age_days": _days,
    "seen": lambda value: f"{value:.0f}",
}
