"""The console's page, its JSON and the command line say the same words for one thing."""

from __future__ import annotations

import io
import json
from typing import Any, get_args

import pytest
from console.experiment.lines import list_row
from console.experiment.view import json_of, view_of
from contracts import names
from contracts.experiments import GuardrailMetric, Outcome
from contracts.metrics import BUILT_IN
from contracts.reports import ExperimentLine, GuardrailState, Reading, Report, VerdictKind
from contracts.verdicts import line_of, words_of
from pipeline.experiment.printout import lines_table, print_report
from rich.console import Console

from tests.support.fakes import reports

KINDS: tuple[VerdictKind, ...] = get_args(VerdictKind)


def printed(report: Report) -> str:
    out = io.StringIO()
    print_report(report, [], Console(file=out, width=200))
    return out.getvalue()


def line(kind: VerdictKind, mode: str) -> ExperimentLine:
    return ExperimentLine(
        name="models", state="running", mode=mode, started_at=reports.START, stopped_at=None, verdict=kind
    )


def test_everything_that_a_report_can_hold_has_a_name() -> None:
    assert set(names.VERDICTS) == set(KINDS)
    assert set(names.METRICS) == set(BUILT_IN)
    assert set(names.GUARDRAILS) == set(get_args(GuardrailMetric))
    assert set(names.READINGS) == set(get_args(Reading))
    assert set(names.GUARDRAIL_STATES) == set(get_args(GuardrailState))
    assert set(names.OUTCOMES) == set(names.DECIDED) == set(get_args(Outcome))


@pytest.mark.parametrize("report", reports.STATES.values(), ids=list(reports.STATES))
def test_the_page_its_json_and_the_command_line_call_a_verdict_the_same(report: Report) -> None:
    words, out = words_of(report), " ".join(printed(report).split())
    assert line_of(report) == (words.decided or f"{words.headline}: {words.sentence}")
    assert out.startswith(line_of(report))
    assert words.sentence in out
    assert view_of(report, report.at).words.model_dump(exclude={"tone"}) == words.model_dump()
    assert json.loads(json_of(report, report.at))["words"]["sentence"] == words.sentence
    mode, decision = report.experiment.plan.mode, report.experiment.decision
    name = names.verdict(report.verdict.kind, mode, report.compared)
    assert words.headline.startswith(names.DECIDED[decision.outcome] if decision else name)


@pytest.mark.parametrize("report", reports.STATES.values(), ids=list(reports.STATES))
def test_the_page_and_the_command_line_write_a_number_the_same(report: Report) -> None:
    page, out = view_of(report, report.at), printed(report)
    for row in [] if page.held else page.forest.rows:
        assert row.lift in out
        assert row.interval in out
    for fine in page.fine:
        assert fine.cells[0] in out
    assert "+0.97%" not in out, "a difference of shares is in points"


def test_the_states_are_of_every_verdict() -> None:
    assert {report.verdict.kind for report in reports.STATES.values()} == set(KINDS)


@pytest.mark.parametrize("mode", ["ab", "shadow"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_lists_of_experiments_call_a_verdict_the_same(kind: VerdictKind, mode: str) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(lines_table([line(kind, mode)]))
    assert list_row(line(kind, mode)).standing == names.verdict(kind, mode)
    assert out.getvalue().rstrip().endswith(names.verdict(kind, mode))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decision": "keep_control", "state": "stopped"}, "Kept control"),
        ({"decision": "ship", "state": "archived"}, "Shipped test"),
        ({"state": "draft", "started_at": None}, "Not started"),
        ({"state": "archived", "started_at": None}, "Never started"),
        ({"verdict": None}, "Not read yet"),
    ],
)
def test_the_lists_say_what_was_decided_and_what_never_ran(changes: dict[str, Any], said: str) -> None:
    one = line("hold", "ab").model_copy(update=changes)
    out = io.StringIO()
    Console(file=out, width=200).print(lines_table([one]))
    assert list_row(one).standing == said
    assert out.getvalue().rstrip().endswith(said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"days": 2.4}, "day 3 of 14"),
        ({"days": 15.1}, "day 16, 14 planned"),
        ({"days": 0.001, "state": "stopped"}, "after 1 minute"),
        ({"days": None, "started_at": None}, ""),
    ],
)
def test_the_lists_count_days_the_same(changes: dict[str, Any], said: str) -> None:
    one = line("hold", "ab").model_copy(update=changes)
    out = io.StringIO()
    Console(file=out, width=200).print(lines_table([one]))
    assert list_row(one).state.partition(", ")[2] == said
    assert said in out.getvalue()


def test_page_and_command_line_call_every_metric_and_guardrail_the_same() -> None:
    report = reports.report("ship")
    assert {one.metric for one in report.metrics} <= set(BUILT_IN)
    assert {one.metric for one in report.guardrails} == set(get_args(GuardrailMetric))
    page, said = view_of(report, reports.NOW), printed(report)
    rows = [line.split("  ")[0] for line in said.splitlines()]
    assert [row.name for row in page.forest.rows] == [names.metric(one.metric) for one in report.metrics]
    assert [guard.name for guard in page.guards] == [
        names.guardrail(one.metric, one.over_ms) for one in report.guardrails
    ]
    for name in [row.name for row in page.forest.rows] + [guard.name for guard in page.guards]:
        assert any(row.startswith(name) for row in rows)


def test_a_decided_experiment_is_called_the_same(outcome_reports: dict[Outcome, Report]) -> None:
    for outcome, report in outcome_reports.items():
        assert view_of(report, reports.NOW).words.headline == names.DECIDED[outcome]
        assert f"stopped: {names.DECIDED[outcome].lower()} on " in printed(report)


@pytest.fixture
def outcome_reports() -> dict[Outcome, Report]:
    return {outcome: reports.decided(outcome) for outcome in get_args(Outcome)}
