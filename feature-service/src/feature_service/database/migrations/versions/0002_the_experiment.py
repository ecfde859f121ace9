"""Experiments with states and periods; exposures as reports read them; assignments, likes by exposure, reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, TIMESTAMP

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Moment = TIMESTAMP(timezone=False)


def upgrade() -> None:
    _experiments()
    _exposures()
    _exposure_days()
    _assignments()
    _likes()
    _shadows()
    op.create_table(
        "analysis_runs",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("experiment", sa.Text, sa.ForeignKey("experiments.name"), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("report", JSONB, nullable=False),
    )
    op.create_index("analysis_runs_experiment", "analysis_runs", ["experiment", "id"])


def _experiments() -> None:
    """Every old definition becomes a running experiment with the same salts and bucket table: nobody changes group."""
    op.add_column("experiments", sa.Column("state", sa.Text, nullable=False, server_default="running"))
    op.add_column("experiments", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    history = "experiment_history"
    op.add_column(history, sa.Column("by", sa.Text, nullable=False, server_default="the platform"))
    op.add_column(history, sa.Column("what", sa.Text, nullable=False, server_default="started"))
    op.add_column(history, sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.alter_column(history, "at", server_default=None)
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT name, definition, running, to_char(date_trunc('day', (SELECT min(at) FROM experiment_history h "
            'WHERE h.name = e.name)), \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') AS began FROM experiments e'
        )
    ).all()
    put = sa.text("UPDATE experiments SET definition = :definition, state = :state WHERE name = :name").bindparams(
        sa.bindparam("definition", type_=JSONB)
    )
    put_history = sa.text("UPDATE experiment_history SET definition = :definition WHERE name = :name").bindparams(
        sa.bindparam("definition", type_=JSONB)
    )
    for row in rows:
        state = "running" if row.running else "draft"
        new = _renewed(row.definition, state, row.began)
        connection.execute(put, {"name": row.name, "definition": new, "state": state})
        connection.execute(put_history, {"name": row.name, "definition": new})
    op.drop_column("experiments", "running")
    for table, column in (("experiments", "state"), ("experiments", "revision"), (history, "by"), (history, "what")):
        op.alter_column(table, column, server_default=None)
    op.alter_column(history, "revision", server_default=None)
    op.create_index("experiment_history_name", history, ["name", "id"])


def _renewed(old: Mapping[str, Any], state: str, began: str) -> dict[str, Any]:
    """What is not named here takes the contract's default. began: the day of the first change."""
    period = {"starts_at": began, "weights": old["weights"], "table": old["table"], "reason": "start"}
    plan = {
        "mode": "ab",
        "rankers": {"control": "control", "test": "test"},
        "weights": old["weights"],
        "layer": "models",
        "enrolment_salt": old["enrolment_salt"],
        "enrolment": old["enrolment"],
        "group_salt": old["group_salt"],
        "forced": old["forced"],
    }
    return {
        "name": old["name"],
        "plan": plan,
        "state": state,
        "revision": 1,
        "periods": [period] * (old["weight_period"] + 1) if state == "running" else [],
        "started_at": began if state == "running" else None,
    }


def _exposures() -> None:
    """Written anew: what a report reads stands in front, in fixed widths."""
    op.rename_table("exposures", "old_exposures")
    op.execute("ALTER INDEX exposures_pkey RENAME TO old_exposures_pkey")
    op.drop_index("exposures_experiment")
    op.create_table(
        "exposures",
        sa.Column("served_at", Moment, nullable=False),
        sa.Column("asked_for", Moment, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("took_ms", sa.REAL, nullable=False),
        sa.Column("weight_period", sa.SmallInteger, nullable=False),
        sa.Column("likes", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("exp_group", sa.Text, nullable=False),
        sa.Column("ranker", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("degraded", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("teams", sa.Text),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("posts", ARRAY(sa.Integer), nullable=False),
        sa.Column("scores", ARRAY(DOUBLE_PRECISION), nullable=False),
        sa.Column("propensities", ARRAY(DOUBLE_PRECISION)),
    )
    op.execute("ALTER TABLE exposures SET (fillfactor = 90)")  # so that counting a like rewrites no index
    op.execute(
        "INSERT INTO exposures (served_at, asked_for, user_id, took_ms, weight_period, experiment, exp_group, ranker, "
        "mode, degraded, model, model_version, key, posts, scores) "
        "SELECT served_at, served_at, user_id, 0, weight_period, experiment, exp_group, exp_group, 'ab', degraded, "
        "model, model_version, key, ARRAY(SELECT value::int FROM jsonb_array_elements_text(posts)), '{}' "
        "FROM old_exposures"
    )
    op.drop_table("old_exposures")
    op.create_index("exposures_experiment", "exposures", ["experiment", "served_at"])
    op.create_index("exposures_user", "exposures", ["user_id", "served_at"])


def _exposure_days() -> None:
    """What a report sums up: a user's days, kept by the writer in the transaction that writes their exposures."""
    op.create_table(
        "exposure_days",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("exposures", sa.Integer, nullable=False),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("likes", sa.Integer, nullable=False),
        sa.Column("degraded", sa.Integer, nullable=False),
        sa.Column("degraded_hits", sa.Integer, nullable=False),
        sa.Column("degraded_likes", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("fallbacks", sa.Integer, nullable=False),
        sa.Column("slow", sa.Integer, nullable=False),
        sa.Column("weight_period", sa.SmallInteger, nullable=False),
        sa.Column("exp_group", sa.Text, nullable=False),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "user_id", "day", "weight_period"),
    )
    op.execute("ALTER TABLE exposure_days SET (fillfactor = 80)")
    op.execute(
        "INSERT INTO exposure_days SELECT user_id, served_at::date, count(*), 0, 0, count(degraded), 0, 0, "
        "count(*) FILTER (WHERE degraded LIKE '%ranker\\_%'), count(*) FILTER (WHERE model_version = ''), 0, "
        "weight_period, min(exp_group), experiment FROM exposures "
        "GROUP BY experiment, user_id, served_at::date, weight_period"
    )
    op.create_table(
        "exposure_models",
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("exp_group", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("model_version", sa.Text, primary_key=True),
        sa.Column("exposures", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO exposure_models SELECT experiment, exp_group, model, model_version, count(*) FROM exposures "
        "GROUP BY 1, 2, 3, 4"
    )


def _assignments() -> None:
    """Those of exposures from before are their users' first ones; what they did before is not known."""
    op.create_table(
        "assignments",
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("weight_period", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("exp_group", sa.Text, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("views_before", sa.Integer),
        sa.Column("likes_before", sa.Integer),
    )
    op.execute(
        "INSERT INTO assignments (experiment, user_id, weight_period, exp_group, at) "
        "SELECT DISTINCT ON (experiment, user_id, weight_period) experiment, user_id, weight_period, exp_group, "
        "served_at FROM exposures ORDER BY experiment, user_id, weight_period, served_at"
    )


def _likes() -> None:
    op.create_table(
        "exposure_likes",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("post_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", Moment, nullable=False),
    )
    op.create_table(
        "unattributed_likes",
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("reason", sa.String(32), primary_key=True),
        sa.Column("likes", sa.BigInteger, nullable=False),
    )


def _shadows() -> None:
    op.create_table(
        "shadows",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("experiment", sa.Text, primary_key=True),
        sa.Column("ranker", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("posts", ARRAY(sa.Integer), nullable=False),
        sa.Column("took_ms", sa.REAL, nullable=False),
        sa.Column("failed", sa.Text),
    )
    op.create_index("shadows_experiment", "shadows", ["experiment"])
