"""`lenta experiment` through a real gateway and a real feature-service: from plan to archive, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from contracts.experiments import Plan
from contracts.reports import Report
from feature_service.reports.runs import store
from gateway.app import create
from gateway.settings import Settings
from pipeline.cli import app
from pipeline.errors import LentaError
from typer.testing import CliRunner, Result

from tests.support.fakes.gateway import served
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform

PLAN = """
mode = "ramp"
layer = "towers"
enrolment = 0.5

[weights]
control = 0.9
test = 0.1

[[ramp]]
at = "2027-01-04T00:00:00"
weights = { control = 0.5, test = 0.5 }

[rules]
min_users = 2000
"""


@dataclass
class Commands:
    platform: FeaturePlatform

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["experiment", *arguments], env={"COLUMNS": "200"})

    def said(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exit_code == 0, result.output + str(result.exception)
        return str(result.output)

    def refused(self, *arguments: str) -> str:
        result = self(*arguments)
        assert isinstance(result.exception, LentaError), result.output
        return str(result.exception)


@pytest.fixture
def lenta(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    with feature_platform(postgres_url, redis_url) as platform:
        settings = Settings(
            features_url=platform.url,
            control_url=platform.url,
            test_url=platform.url,
            api_keys="reader",
            admin_keys="admin",
        )
        with served(create(settings)) as gateway:
            monkeypatch.setenv("LENTA_HOME", str(tmp_path))
            monkeypatch.setenv("LENTA_GATEWAY_URL", gateway)
            monkeypatch.setenv("LENTA_API_KEY", "reader")
            monkeypatch.setenv("LENTA_ADMIN_KEY", "admin")
            yield Commands(platform)


def test_from_a_plan_to_the_archive(lenta: Commands, tmp_path: Path) -> None:
    plan = tmp_path / "towers.toml"
    plan.write_text(PLAN)
    created = lenta.said("create", "towers", "--plan", str(plan), "--reason", "the new model")
    assert "towers, draft" in created
    assert "control 90%, test 10%" in created
    assert "Next: lenta experiment start towers" in created
    assert "decides what users see already" in lenta.refused("start", "towers", "--reason", "too soon")
    lenta.said("stop", "models", "--reason", "makes way")
    started = lenta.said("start", "towers", "--reason", "reviewed")
    assert "running since" in started
    assert started.count("control 50%, test 50%") == 2  # the plan's ramp, and the period that it will begin
    assert "towers" in lenta.said("list")
    stopped = lenta.said("stop", "towers", "--reason", "withdrawn")
    assert "towers, stopped" in stopped
    assert "archived" in lenta.said("archive", "towers", "--reason", "of no use", "--by", "the team")
    history = lenta.said("show", "towers").partition("History")[2]
    places = [history.index(reason) for reason in ("of no use", "withdrawn", "reviewed", "the new model")]
    assert places == sorted(places)
    assert "the team" in history


def test_new_weights_are_a_new_period_and_the_rest_of_the_plan_stays(lenta: Commands) -> None:
    before = Plan.model_validate_json(lenta.said("show", "models", "--json"))
    said = lenta.said("weights", "models", "control=0.3", "test=0.7", "--reason", "the first days are fine")
    assert "control 30%, test 70%" in said
    assert "the first days are fine" in said
    after = Plan.model_validate_json(lenta.said("show", "models", "--json"))
    assert after == before.model_copy(update={"weights": {"control": 0.3, "test": 0.7}})


def test_a_decision_ends_it_and_is_recorded(lenta: Commands) -> None:
    before = Report.model_validate_json(lenta.platform.http.get("/experiments/models/report").content)
    store(lenta.platform.engine, before, final=False)
    said = lenta.said("decide", "models", "ship", "--reason", "hit rate up, guardrails hold")
    assert "models, stopped: shipped test on" in said
    assert "hit rate up, guardrails hold" in said
    assert "Next: lenta experiment report models, then lenta experiment archive models" in said
    assert lenta.said("report", "models").startswith("Shipped test on ")
    assert lenta.said("list").splitlines()[1].rstrip().endswith("Shipped test")


def test_a_shown_plan_can_be_edited_and_given_back(lenta: Commands, tmp_path: Path) -> None:
    lenta.said("create", "quiet", "--plan", str(_shadow(tmp_path)), "--reason", "how slow is it")
    plan = json.loads(lenta.said("show", "quiet", "--json"))
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**plan, "rules": {**plan["rules"], "days": 28}}))
    assert "from 7 of 28 days" in lenta.said("edit", "quiet", "--plan", str(changed), "--reason", "a month")


def _shadow(folder: Path) -> Path:
    path = folder / "shadow.json"
    path.write_text('{"mode": "shadow", "layer": "shadows"}')
    return path


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["show", "nobody"], "no experiment nobody"),
        (["weights", "models", "control=0.3", "test=0.6", "--reason", "sum"], "add up to 0.9, not 1"),
        (["weights", "models", "control=half", "--reason", "sum"], "control=half: a group and its share"),
        (["weights", "models", "green=1", "--reason", "sum"], "there is no group green"),
        (["stop", "models", "--reason", "x"], "--reason: String should have at least 3"),
        (["start", "models", "--reason", "again"], "running"),
        (["create", "models", "--reason", "again"], "lenta experiment edit models"),
        (["create", "second", "--reason", "overlaps it"], None),
        (["create", "lost", "--plan", "/nowhere.json", "--reason", "lost"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(lenta: Commands, arguments: list[str], reason: str | None) -> None:
    if reason is None:
        lenta.said(*arguments)
        arguments, reason = ["start", "second", "--reason", "overlaps it"], "overlap"
    said = lenta.refused(*arguments)
    assert reason in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"weights": {"control": 0.5, "test": 0.6}}', "weights add up to 1.1, not 1"),
        ('{"colour": 1}', "colour: Extra inputs"),
        ('{"mode": "abc"}', "mode: "),
        ("{", "Expecting property name"),
    ],
)
def test_a_plan_that_does_not_hang_together_names_its_field(
    lenta: Commands, tmp_path: Path, text: str, reason: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    said = lenta.refused("create", "broken", "--plan", str(plan), "--reason", "broken")
    assert str(plan) in said
    assert reason in said


def test_a_reader_s_key_changes_nothing(lenta: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTA_ADMIN_KEY", "reader")
    assert "set LENTA_ADMIN_KEY" in lenta.refused("stop", "models", "--reason", "not mine")
    monkeypatch.delenv("LENTA_ADMIN_KEY")
    assert "LENTA_ADMIN_KEY is not set" in lenta.refused("stop", "models", "--reason", "not mine")


def test_a_gateway_that_is_down_is_named(lenta: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTA_GATEWAY_URL", "http://127.0.0.1:9")
    assert "does not answer" in lenta.refused("list")
