"""Exposures, assignments and shadows into Postgres: one statement a batch, and a repetition changes nothing.

A user's exposure is an assignment too: where the gateway that assigned him died before it said so, the exposure does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.experiments import Plan
from contracts.wire import Assigned, Exposure, Shadowed
from sqlalchemy import Connection, text

_EXPOSURES = text(
    "WITH new AS (INSERT INTO exposures (served_at, asked_for, user_id, took_ms, weight_period, experiment, exp_group, ranker, mode, "
    "degraded, model, model_version, teams, key, posts, scores, propensities) "
    "SELECT served_at AT TIME ZONE 'UTC', asked_for AT TIME ZONE 'UTC', user_id, took_ms, weight_period, experiment, "
    '"group", ranker, mode, degraded, model, model_version, teams, key, posts, scores, propensities '
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(served_at timestamptz, asked_for timestamptz, user_id int, "
    'took_ms real, weight_period int, experiment text, "group" text, ranker text, mode text, degraded text, '
    "model text, model_version text, teams text, key text, posts int[], scores float8[], propensities float8[]) "
    "ON CONFLICT DO NOTHING RETURNING *), "
    "models AS (INSERT INTO exposure_models AS m (experiment, exp_group, model, model_version, exposures) "
    "SELECT experiment, exp_group, model, model_version, count(*) FROM new GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 "
    "ON CONFLICT (experiment, exp_group, model, model_version) DO UPDATE SET exposures = m.exposures + excluded.exposures) "
    "INSERT INTO exposure_days AS d (user_id, day, exposures, hits, likes, degraded, degraded_hits, degraded_likes, "
    "failed, fallbacks, slow, weight_period, exp_group, experiment) "
    "SELECT user_id, served_at::date, count(*), 0, 0, count(degraded), 0, 0, "
    "count(*) FILTER (WHERE degraded LIKE '%ranker\\_%'), count(*) FILTER (WHERE model_version = ''), "
    "count(*) FILTER (WHERE took_ms > over_ms), weight_period, min(exp_group), experiment "
    "FROM new LEFT JOIN (SELECT x.name AS experiment, (rule ->> 'over_ms')::real AS over_ms FROM experiments x, "
    "  jsonb_array_elements(coalesce(x.definition -> 'plan' -> 'guardrails', CAST(:rules AS jsonb))) rule "
    "  WHERE rule ->> 'metric' = 'slow_share') limits USING (experiment) "
    "GROUP BY experiment, user_id, served_at::date, weight_period "
    "ON CONFLICT (experiment, user_id, day, weight_period) DO UPDATE "
    "SET exposures = d.exposures + excluded.exposures, degraded = d.degraded + excluded.degraded, "
    "failed = d.failed + excluded.failed, fallbacks = d.fallbacks + excluded.fallbacks, slow = d.slow + excluded.slow"
)
_DEFAULT_RULES = json.dumps([rule.model_dump() for rule in Plan().guardrails])
# Only rows that are new look their users' past up: by the index on (user_id, timestamp), month by month.
_ASSIGNMENTS = text(
    "WITH new AS ("
    '  SELECT DISTINCT ON (experiment, user_id, weight_period) experiment, user_id, weight_period, "group", '
    "    at AT TIME ZONE 'UTC' AS at"
    "  FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    '    AS t(experiment text, user_id int, weight_period int, "group" text, at timestamptz)'
    "  WHERE NOT EXISTS (SELECT FROM assignments a WHERE a.experiment = t.experiment AND a.user_id = t.user_id "
    "    AND a.weight_period = t.weight_period)"
    "  ORDER BY experiment, user_id, weight_period, at) "
    "INSERT INTO assignments (experiment, user_id, weight_period, exp_group, at, views_before, likes_before) "
    'SELECT experiment, user_id, weight_period, "group", at, past.views, past.likes FROM new CROSS JOIN LATERAL ('
    "  SELECT count(*) FILTER (WHERE action = 'view') AS views, count(*) FILTER (WHERE action = 'like') AS likes"
    "  FROM feed_data f WHERE f.user_id = new.user_id AND f.timestamp < new.at) past "
    "ON CONFLICT DO NOTHING"
)
_SHADOWS = text(
    "INSERT INTO shadows (key, user_id, experiment, ranker, model, model_version, posts, took_ms, failed) "
    "SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS t(key text, user_id int, experiment text, ranker text, "
    "model text, model_version text, posts int[], took_ms real, failed text) ON CONFLICT DO NOTHING"
)


def record_exposures(connection: Connection, exposures: Sequence[Exposure]) -> None:
    if exposures:
        rows = _rows(exposure.model_dump(mode="json") for exposure in exposures)
        connection.execute(_EXPOSURES, rows | {"rules": _DEFAULT_RULES})


def record_assignments(connection: Connection, assigned: Sequence[Assigned], exposures: Sequence[Exposure]) -> None:
    """What a user viewed and liked before is counted from what `feed_data` holds now: the batch's events come first."""
    rows = [each.model_dump(mode="json") for each in assigned]
    rows += [
        {
            "experiment": exposure.experiment,
            "user_id": exposure.user_id,
            "weight_period": exposure.weight_period,
            "group": exposure.group,
            "at": exposure.served_at.isoformat(),
        }
        for exposure in exposures
    ]
    if rows:
        connection.execute(_ASSIGNMENTS, _rows(rows))


def record_shadows(connection: Connection, shadows: Sequence[Shadowed]) -> None:
    if shadows:
        connection.execute(_SHADOWS, _rows(shadow.model_dump(mode="json") for shadow in shadows))


def _rows(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {"rows": json.dumps(list(rows))}
