"""An experiment of simulated users through the whole platform: played, reported, explained.

It moves the platform's clock, so it comes after the tests that need none.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from contracts.clock import Clock
from contracts.headers import REQUEST_ID
from contracts.reports import Report
from feature_service.keyspace.clock import read_clock
from feature_service.keyspace.connection import connect_redis

from tests.support.platforms.running_platform import RunningPlatform, within

DAYS = 1
FIRST_USER = 200


def clock(platform: RunningPlatform) -> Clock:
    with connect_redis(platform.settings["LENTA_REDIS_URL"]) as client:
        return read_clock(client)


@pytest.fixture(scope="module")
def said(platform: RunningPlatform) -> str:
    traffic = ("simulate-traffic", "--users", "80", "--requests-per-user", "4", "--days", str(DAYS), "--speed", "3000")
    return platform.lenta(*traffic, COLUMNS="160").stdout


def report(platform: RunningPlatform) -> Report:
    return Report.model_validate_json(platform.lenta("experiment", "report", "models", "--json").stdout)


def test_it_tells_what_happened_and_what_is_next(platform: RunningPlatform, said: str) -> None:
    assert re.search(r"^control +\d+ +\d+", said, re.MULTILINE)
    assert re.search(r"^test +\d+ +\d+", said, re.MULTILINE)
    assert "0 posts shown to users who had liked them before" in said
    assert "True difference, test's ranker less control's" in said
    assert said.rstrip().endswith("Next: lenta experiment report models")


def test_the_clock_has_moved_and_runs_on_as_usual_from_a_full_hour(platform: RunningPlatform, said: str) -> None:
    now = clock(platform)
    assert now.speed == 1
    assert now.then.minute == now.then.second == 0
    assert now.now() > datetime.now(UTC) + timedelta(days=DAYS * 0.5)


def test_the_report_counts_all_that_was_played(platform: RunningPlatform, said: str) -> None:
    requests = sum(int(count) for count in re.findall(r"^(?:control|test) +\d+ +(\d+)", said, re.MULTILINE))
    within(60, lambda: sum(group.exposures for group in report(platform).groups) >= requests)
    counted = report(platform)
    breached = any(
        guardrail.state == "breached" for guardrail in counted.guardrails
    )  # as on a machine that is too slow
    assert counted.verdict.kind == ("roll_back" if breached else "too_early")
    assert not counted.split.failed
    assert sum(group.likes for group in counted.groups) > 0
    shown = platform.lenta("experiment", "report", "models").stdout
    assert shown.startswith("Roll back test: " if breached else "Too early to ")


def test_an_answer_is_explained_and_comes_out_again(platform: RunningPlatform, said: str) -> None:
    key = platform.recommend(FIRST_USER).headers[REQUEST_ID]
    time.sleep(1)  # until it is in Postgres
    done = platform.lenta("explain", key, "--json")
    explanation = json.loads(done.stdout)
    assert explanation["ranking"]["is_equal"]
    assert explanation["assignment"]["is_equal"]
    assert len(explanation["ranking"]["reasons"]) == 5
    assert "there is no exposure" in platform.lenta("explain", "nobody-asked", check=False).stderr.lower()


def test_no_event_went_nowhere(platform: RunningPlatform, said: str) -> None:
    assert "No dead letters" in platform.lenta("events", "dead").stdout
