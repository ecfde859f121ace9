"""To which exposure a like belongs. The rules, in the order in which they are asked:

1. A like that names an exposure (`request_id`) of that user which holds the post belongs to it, unless it came more than
   `join_hours` of the experiment's rules after it. Its time may lie before the exposure's: the user's clock is wrong then,
   and the name is not.
2. Any other like (no name, one that nobody knows, another user's, one without that post) belongs to the user's latest
   exposure that holds the post and was served at most `SKEW` after the like, unless it came too late for that one.
3. A post of an exposure counts once, however often it is liked.

A like needs no view. One that belongs nowhere counts in `feed_data` and for the user's features all the same, and is counted
here by its reason: `no_exposure` (no exposure of that user holds the post), `early` (all that do were served later),
`late` (the window of the one it would belong to is over), `repeated`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from feature_service.database.engine import naive
from feature_service.log.entries import FeedEvent

SKEW = timedelta(minutes=5)
"""How far a like's time may lie before its exposure: clocks are not equal."""
DEFAULT_JOIN_HOURS = 24

_ATTRIBUTE = text(
    """
WITH liked AS MATERIALIZED (
  SELECT n, u, p, at, name FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS t(n int, u int, p int, at timestamp, name text)
), placed AS MATERIALIZED (
  SELECT n, u, p, liked.at, found.key, coalesce(found.experiment, seen.experiment, '') AS experiment,
    CASE WHEN found.key IS NULL THEN CASE WHEN later.key IS NULL THEN 'no_exposure' ELSE 'early' END
         WHEN liked.at > found.served_at + make_interval(secs => 3600 * coalesce(
           (x.definition -> 'plan' -> 'rules' ->> 'join_hours')::float8, :join_hours)) THEN 'late' END AS reason
  FROM liked
  LEFT JOIN LATERAL (
    SELECT key, experiment, served_at, 0 AS rank FROM exposures e
      WHERE e.key = liked.name AND e.user_id = liked.u AND liked.p = ANY (e.posts)
    UNION ALL (
    SELECT key, experiment, served_at, 1 FROM exposures e
      WHERE e.user_id = liked.u AND e.served_at <= liked.at + :skew AND liked.p = ANY (e.posts)
      ORDER BY served_at DESC LIMIT 1)
    ORDER BY rank LIMIT 1
  ) found ON true
  LEFT JOIN LATERAL (
    SELECT key FROM exposures e
      WHERE found.key IS NULL AND e.user_id = liked.u AND e.served_at > liked.at + :skew AND liked.p = ANY (e.posts)
      LIMIT 1
  ) later ON true
  LEFT JOIN LATERAL (
    SELECT experiment FROM exposures e WHERE found.key IS NULL AND e.user_id = liked.u ORDER BY served_at DESC LIMIT 1
  ) seen ON true
  LEFT JOIN experiments x ON x.name = found.experiment
), firsts AS MATERIALIZED (
  SELECT DISTINCT ON (key, p) n, key, p, at FROM placed WHERE reason IS NULL ORDER BY key, p, n
), joined AS (
  INSERT INTO exposure_likes (key, post_id, at) SELECT key, p, at FROM firsts ON CONFLICT DO NOTHING RETURNING key, post_id
), counted AS (
  UPDATE exposures e SET likes = e.likes + more.n
  FROM (SELECT key, count(*) AS n FROM joined GROUP BY key) more WHERE e.key = more.key
  RETURNING e.experiment, e.user_id, e.served_at::date AS day, e.weight_period, more.n,
    (e.likes = more.n)::int AS hit, (e.degraded IS NOT NULL)::int AS degraded
), summed AS (
  UPDATE exposure_days d SET likes = d.likes + more.n, hits = d.hits + more.hits,
    degraded_likes = d.degraded_likes + more.degraded_n, degraded_hits = d.degraded_hits + more.degraded_hits
  FROM (SELECT experiment, user_id, day, weight_period, sum(n) AS n, sum(hit) AS hits, sum(n * degraded) AS degraded_n,
    sum(hit * degraded) AS degraded_hits FROM counted GROUP BY 1, 2, 3, 4) more
  WHERE d.experiment = more.experiment AND d.user_id = more.user_id AND d.day = more.day
    AND d.weight_period = more.weight_period
)
INSERT INTO unattributed_likes (experiment, day, reason, likes)
SELECT experiment, at::date, coalesce(reason, 'repeated'), count(*) FROM placed
WHERE reason IS NOT NULL OR n NOT IN (
  SELECT f.n FROM firsts f JOIN joined j ON j.key = f.key AND j.post_id = f.p)
GROUP BY 1, 2, 3
ON CONFLICT (experiment, day, reason) DO UPDATE SET likes = unattributed_likes.likes + excluded.likes
"""
)


def attribute(connection: Connection, likes: Sequence[FeedEvent]) -> None:
    """Joins likes that are new in the ledger to exposures; in the transaction that writes them, after its exposures."""
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
