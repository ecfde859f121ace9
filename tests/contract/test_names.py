"""The console's page, its JSON and the command line say the same words for one thing."""

from __future__ import annotations

import io
import json
from typing import get_args

import pytest
from console.experiment.verdict import headline_of
from console.experiment.view import json_of, view_of
from contracts import names
from contracts.experiments import GuardrailMetric, Metric, Outcome
from contracts.reports import ExperimentLine, GuardrailState, Reading, Report, VerdictKind
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
    assert set(names.METRICS) == set(get_args(Metric))
    assert set(names.GUARDRAILS) == set(get_args(GuardrailMetric))
    assert set(names.READINGS) == set(get_args(Reading))
    assert set(names.GUARDRAIL_STATES) == set(get_args(GuardrailState))
    assert set(names.OUTCOMES) == set(names.DECIDED) == set(get_args(Outcome))


@pytest.mark.parametrize("report", reports.STATES.values(), ids=list(reports.STATES))
def test_the_page_its_json_and_the_command_line_call_a_verdict_the_same(report: Report) -> None:
    name = names.verdict(report.verdict.kind, report.experiment.plan.mode)
    assert printed(report).startswith(f"{name}: ")
    decision = report.experiment.decision
    headline = names.DECIDED[decision.outcome] if decision else name
    assert view_of(report, reports.NOW).words.headline.startswith(headline)
    assert json.loads(json_of(report, reports.NOW))["words"]["headline"].startswith(headline)


def test_the_states_are_of_every_verdict() -> None:
    assert {report.verdict.kind for report in reports.STATES.values()} == set(KINDS)


@pytest.mark.parametrize("mode", ["ab", "shadow"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_lists_of_experiments_call_a_verdict_the_same(kind: VerdictKind, mode: str) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(lines_table([line(kind, mode)]))
    assert headline_of(line(kind, mode)) == names.verdict(kind, mode)
    assert out.getvalue().rstrip().endswith(names.verdict(kind, mode))


def test_page_and_command_line_call_every_metric_and_guardrail_the_same() -> None:
    report = reports.report("ship")
    assert {one.metric for one in report.metrics} == set(get_args(Metric))
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
