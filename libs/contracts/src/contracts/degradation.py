"""Why an answer is not the model's own full answer: the words of X-Degraded, of exposures and of metrics.

They are stored with exposures and counted by guardrails: a word that changes splits an experiment in two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Service = Literal["features", "ranker"]
Failure = Literal["timeout", "refused", "error", "open", "bug"]
"""timeout: no answer in time. refused: nobody listens. error: a broken connection or a 5xx. open: it failed so often
that it is left alone. bug: it refused a request of our own, or its answer cannot be understood."""

UNLOGGED = "unlogged"
"""The log was dead when the answer was given; its exposure is recorded when it is back."""
TEXTS = "texts"
"""The texts of ranked posts could not be read: those posts are left out, or popular posts stand in for all of them."""

RANKER_FAILED_LIKE = r"%ranker\_%"
"""SQL's LIKE: a stored `degraded` that names a failed ranker. An exposure's group has failed then."""

UNREACHABLE_LIKE = (r"%ranker\_refused%", r"%ranker\_open%")
"""SQL's LIKE ANY: a ranker that nobody reached. That says nothing of its model: the switch takes the traffic away, and
no verdict counts it."""

LAST_SLATE, POPULAR_IN_SEGMENT, POPULAR = "last_slate", "popular_in_segment", "popular"
"""What stands in for a model's ranking, in this order."""
FALLBACK_VERSION = ""
"""`model_version` of an exposure that no model ranked."""


def reason(service: Service, failure: Failure) -> str:
    """`ranker_timeout`."""
    return f"{service}_{failure}"


def joined(reasons: Iterable[str]) -> str:
    """As the header and the exposure carry them; empty for a full answer."""
    return ",".join(reasons)
