"""A metric's sums from its definition: the one place where `contracts.metrics` becomes SQL.

The four metrics of exposures and their likes (`SUMMED_TOGETHER`) are read in one pass with the guardrails
(`aggregates`); a test holds them to what their definitions give here.

By days: a user's counts C change on the days on which there are events, so what a day adds to the squares is C^2 less
that of the user's last day (`sql/metric.sql`). Who may still return is not counted yet: a user's return is read when
the window closes.
"""

from __future__ import annotations

from contracts.experiments import Plan
from contracts.metrics import Filter, Measure, MetricDefinition

from feature_service.database.queries import read_sql

SUMMED_TOGETHER = ("hit_rate", "likes_per_exposure", "likes_per_user", "exposures_per_user")
NAMES = ("users", "y", "x", "yy", "xx", "xy", "a", "b", "aa", "bb", "ab", "ya", "yb", "xa", "xb")
"""As `CupedSums` has them."""
_NOTHING = "SELECT NULL::int AS user_id, NULL::date AS day, 0 AS value WHERE false"
_IN_DAYS = {
    "exposures": "exposures - :without_{side} * degraded",
    "hits": "hits - :without_{side} * degraded_hits",
    "likes": "likes - :without_{side} * degraded_likes",
}
"""Kept by user and day."""

_FROM_DAYS = """
SELECT d.user_id, d.day, {value} AS value
FROM exposure_days d JOIN chosen c USING (user_id)
WHERE d.experiment = :name AND d.weight_period = ANY (:periods) AND d.day < c.at::date + CAST(:within AS int)"""

_MILLISECONDS = """
SELECT e.user_id, e.served_at::date AS day, e.took_ms AS value
FROM exposures e JOIN chosen c USING (user_id)
WHERE e.experiment = :name AND e.weight_period = ANY (:periods) AND e.served_at::date < c.at::date + CAST(:within AS int)
  AND (:without_{side} = 0 OR e.degraded IS NULL)"""

_LIKES_OF_TOPIC = """
SELECT e.user_id, e.served_at::date AS day, 1 AS value
FROM exposures e JOIN chosen c USING (user_id) JOIN exposure_likes l USING (key) JOIN post_text_df p ON p.id = l.post_id
WHERE e.experiment = :name AND e.weight_period = ANY (:periods) AND e.served_at::date < c.at::date + CAST(:within AS int)
  AND p.topic = :topic_{side} AND (:without_{side} = 0 OR e.degraded IS NULL)"""

_FEEDBACK = """
SELECT f.user_id, f.timestamp::date AS day, 1 AS value
FROM chosen c JOIN feed_data f ON f.user_id = c.user_id AND f.timestamp >= c.at AND f.timestamp < :until
WHERE f.action = :action_{side} AND f.timestamp < c.at + CAST(:within AS int) * interval '1 day'
  AND (CAST(:topic_{side} AS text) IS NULL
    OR EXISTS (SELECT FROM post_text_df p WHERE p.id = f.post_id AND p.topic = :topic_{side}))"""

_RETURNS = """
SELECT c.user_id, c.day, 1 AS value
FROM chosen c
WHERE EXISTS (
  SELECT FROM exposure_days d
  WHERE d.experiment = :name AND d.user_id = c.user_id AND d.day > c.at::date
    AND d.day <= c.at::date + CAST(:within AS int))"""

_CHOSEN = """
SELECT user_id, stratum, exp_group, day + CAST(:shift AS int) AS day, at, a, b
FROM people
WHERE day + CAST(:shift AS int) <= CAST(:until AS timestamp)::date"""
_FOREVER = 100_000
"""Days."""


def statement(metric: MetricDefinition) -> str:
    """With the parameters that `values` gives, beside those of the comparison."""
    parts = {
        "/*chosen*/": _CHOSEN + _conditions(metric.only),
        "/*numerator*/": _counts(metric.numerator, "y"),
        "/*denominator*/": _counts(metric.denominator, "x"),
    }
    sql = read_sql(__package__, "metric")
    head, body = sql.split("WITH people", 1)  # the comment names the places, too
    for place, part in parts.items():
        body = body.replace(place, part)
    return f"{head}WITH people{body}"


def values(metric: MetricDefinition, plan: Plan) -> dict[str, object]:
    returns = metric.numerator.count == "returns"
    of_sides = {
        f"{name}_{side}": value
        for side, measure in (("y", metric.numerator), ("x", metric.denominator))
        for name, value in (
            ("action", measure.action),
            ("topic", measure.topic),
            ("without", int(measure.undegraded)),
        )
    }
    return {
        **of_sides,
        "within": metric.within_days or _FOREVER,
        "shift": metric.within_days if returns else 0,
        "per_user": metric.denominator.count == "users",
        "winsorised": plan.rules.winsorised if metric.winsorised is None else metric.winsorised,
        "country": metric.only.country,
        "os": metric.only.os,
        "new": metric.only.new,
    }


def _counts(measure: Measure, side: str) -> str:
    """By user and day: user_id, day, value."""
    match measure.count:
        case "users":
            return _NOTHING
        case "milliseconds":
            return _MILLISECONDS.format(side=side)
        case "feedback":
            return _FEEDBACK.format(side=side)
        case "returns":
            return _RETURNS
        case "likes" if measure.topic is not None:
            return _LIKES_OF_TOPIC.format(side=side)
        case count:
            return _FROM_DAYS.format(value=_IN_DAYS[count].format(side=side))


def _conditions(only: Filter) -> str:
    """On what was known before the first assignment."""
    profile = [f"u.{column} = :{column}" for column in ("country", "os") if getattr(only, column) is not None]
    of_profile = f" AND EXISTS (SELECT FROM user_data u WHERE u.user_id = people.user_id AND {' AND '.join(profile)})"
    return (of_profile if profile else "") + ("" if only.new is None else " AND (a = 0) = :new")
