"""How long a report over many exposures takes: a million here, with slack for a busy machine; on demand ten million:

    .venv/bin/python -m tests.benchmarks.test_report_speed 10000000

Exposures are made in SQL: users who differ, two weeks, one exposure in a hundred degraded, more likes in test.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.reports import Report
from feature_service.database.engine import connect
from feature_service.database.schema import migrate
from feature_service.reports.analysis import analyse
from sqlalchemy import Engine, text

from tests.support.data.experiment_rows import START, start
from tests.support.servers import running_postgres

EXPOSURES_A_USER = 50
DAYS = 14

_FILL = """
INSERT INTO exposures (served_at, asked_for, user_id, took_ms, weight_period, likes, experiment, exp_group, ranker,
  mode, degraded, model, model_version, key, posts, scores)
SELECT at, at, user_id, 8 + 300 * (chance > 0.997)::int, 0,
  (like_chance < 0.05 + 0.05 * (user_id % 7) / 7 + 0.005 * (user_id % 2))::int,
  'bench', (ARRAY['control', 'test'])[1 + user_id % 2], (ARRAY['control', 'test'])[1 + user_id % 2], 'ab',
  CASE WHEN chance < 0.01 THEN 'ranker_timeout' END,
  CASE WHEN chance < 0.01 THEN 'popular' ELSE (ARRAY['control', 'test'])[1 + user_id % 2] END,
  CASE WHEN chance < 0.01 THEN '' ELSE '20260228T120000' END,
  'b-' || md5(i::text), ARRAY[i % 7000, i % 6999, i % 6998, i % 6997, i % 6996]::int[], ARRAY[0.5, 0.4, 0.3, 0.2, 0.1]
FROM (SELECT i, (hashint8extended(i, 1) & 9223372036854775807) % :users + 1 AS user_id,
  (hashint8extended(i, 2) & 1048575) / 1048576.0 AS chance,
  (hashint8extended(i, 3) & 1048575) / 1048576.0 AS like_chance,
  CAST(:start AS timestamp) + i * CAST(:step AS interval) AS at FROM generate_series(1, :exposures) i) made
"""
_ASSIGN = """
INSERT INTO assignments (experiment, user_id, weight_period, exp_group, at, views_before, likes_before)
SELECT 'bench', user_id, 0, (ARRAY['control', 'test'])[1 + user_id % 2],
  CAST(:start AS timestamp) + (hashint8extended(user_id, 4) & 1048575) / 1048576.0 * interval '3 days',
  nullif(user_id % 10, 0) * 20, (user_id % 7) + (hashint8extended(user_id, 5) & 3)
FROM generate_series(1, :users) user_id
"""

_DAYS = """
INSERT INTO exposure_days SELECT user_id, served_at::date, count(*), count(*) FILTER (WHERE likes > 0), sum(likes),
  count(degraded), count(degraded) FILTER (WHERE likes > 0),
  coalesce(sum(likes) FILTER (WHERE degraded IS NOT NULL), 0),
  count(*) FILTER (WHERE degraded LIKE '%ranker\\_%'), count(*) FILTER (WHERE model_version = ''),
  count(*) FILTER (WHERE took_ms > 200), weight_period, min(exp_group), experiment
FROM exposures WHERE experiment = 'bench' GROUP BY experiment, user_id, served_at::date,
  weight_period ORDER BY 2
"""


def fill(engine: Engine, exposures: int) -> None:
    """One experiment, `bench`, over DAYS days, with EXPOSURES_A_USER exposures a user."""
    values = {
        "users": exposures // EXPOSURES_A_USER,
        "exposures": exposures,
        "start": START.replace(tzinfo=None),
        "step": timedelta(days=DAYS) / exposures,
    }
    with engine.begin() as connection:
        for index in ("exposures_pkey", "exposures_experiment", "exposures_user"):
            kind = "CONSTRAINT" if index.endswith("pkey") else "INDEX"
            connection.execute(
                text(
                    f"ALTER TABLE exposures DROP CONSTRAINT {index}" if kind == "CONSTRAINT" else f"DROP INDEX {index}"
                )
            )
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_FILL), values)
        connection.execute(text(_ASSIGN), values)
        connection.execute(text("SET LOCAL work_mem = '512MB'"))
        connection.execute(text(_DAYS))
        connection.execute(text("ALTER TABLE exposures ADD PRIMARY KEY (key)"))
        connection.execute(text("CREATE INDEX exposures_experiment ON exposures (experiment, served_at)"))
        connection.execute(text("CREATE INDEX exposures_user ON exposures (user_id, served_at)"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE exposures"))
        connection.execute(text("VACUUM ANALYZE assignments, exposure_days"))


@dataclass(frozen=True, slots=True)
class Measured:
    exposures: int
    megabytes: float
    seconds: list[float]
    report: Report


def measure(postgres_url: str, exposures: int, times: int = 3) -> Measured:
    engine = connect(postgres_url, pool_size=4)
    start(engine, "bench", now=START)
    fill(engine, exposures)
    seconds = list[float]()
    for _ in range(times):
        began = time.perf_counter()
        report = analyse(engine, "bench", START + timedelta(days=DAYS))
        seconds.append(time.perf_counter() - began)
    with engine.connect() as connection:
        size = text("SELECT pg_total_relation_size('exposures') + pg_total_relation_size('exposure_days')")
        megabytes = int(connection.execute(size).scalar_one()) / 1e6
    engine.dispose()
    return Measured(exposures, megabytes, seconds, report)


def test_a_report_over_a_million_exposures_takes_at_most_two_seconds(postgres_url: str) -> None:
    speed = measure(postgres_url, 1_000_000)
    print(f"\n1,000,000 exposures: report in {', '.join(f'{each:.2f} s' for each in speed.seconds)}")
    assert sum(group.exposures for group in speed.report.groups) == 1_000_000
    assert speed.report.metrics[0].course[-1].users == 1_000_000 // EXPOSURES_A_USER
    assert speed.report.metrics[0].reading == "better"
    assert min(speed.seconds) < 2.0


def main(exposures: int) -> None:
    with TemporaryDirectory() as folder, running_postgres(Path(folder) / "postgres") as url:
        migrate(url)
        speed = measure(url, exposures)
    lift = speed.report.metrics[0].always_valid
    print(
        f"{speed.exposures:,} exposures of {exposures // EXPOSURES_A_USER:,} users, "
        f"{speed.megabytes:,.0f} MB: report in"
    )
    print(f"{', '.join(f'{each:.2f} s' for each in speed.seconds)}; {speed.report.verdict.kind}, {lift}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
