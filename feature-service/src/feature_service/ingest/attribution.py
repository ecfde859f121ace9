"""To which exposure a like belongs. The rules, in the order in which they apply:

1. A like that names an exposure (`request_id`) of the same user that holds the post belongs to it, unless it came more
   than `join_hours` (of the experiment's rules) after it. The like may be dated before the exposure: then the user's
   clock is wrong, and the name is right.
2. Any other like (no name, an unknown one, another user's, one without that post) belongs to the user's latest exposure
   that holds the post and was served at most `SKEW` after the like, unless it came too late for that one.
3. A post of an exposure counts once, however often it is liked.

A like needs no view. One that belongs nowhere still counts in `feed_data` and for the user's features, and is counted
here by its reason: `no_exposure` (no exposure of that user holds the post), `early` (all that do were served later),
`late` (the window of the one it would belong to is over), `repeated`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from feature_service.database.engine import naive
from feature_service.database.queries import query
from feature_service.log.entries import FeedEvent

SKEW = timedelta(minutes=5)
"""How far a like may be dated before its exposure: clocks differ."""
DEFAULT_JOIN_HOURS = 24

_ATTRIBUTE = query(__package__, "attribution")


def attribute(connection: Connection, likes: Sequence[FeedEvent]) -> None:
    """Joins likes that are new in the ledger to exposures, in the transaction that writes both, exposures first."""
    rows = [
        {
            "n": place,
            "u": like.event.user_id,
            "p": like.event.post_id,
            "at": naive(like.at).isoformat(),
            "name": like.event.request_id,
        }
        for place, like in enumerate(likes)
    ]
    values = {"rows": json.dumps(rows), "skew": SKEW, "join_hours": DEFAULT_JOIN_HOURS}
    connection.execute(_ATTRIBUTE, values)
