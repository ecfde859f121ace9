"""A report on the terminal: the verdict first, in words; every number in its place; nothing where nothing is known."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

from contracts.assignment import Group
from contracts.experiments import Change, Decision, Experiment, Plan
from contracts.reports import (
    GroupReading,
    GuardrailReading,
    InterleavingReading,
    LiftPlan,
    MetricReading,
    PeriodSplit,
    Range,
    Reach,
    Report,
    RunLine,
    ShadowReading,
    SplitReading,
    Verdict,
)
from pipeline.experiment.printout import print_reach, print_report
from rich.console import Console

START, NOW = datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)


def report(**changes: object) -> Report:
    experiment = Experiment.started("models", Plan(), START)
    assigned: dict[Group, int] = {"control": 1_012, "test": 988}
    result = Report(
        run=7,
        at=NOW,
        experiment=experiment,
        days=14.0,
        groups=[
            GroupReading(group="control", ranker="control", models=["control@1"], assigned=1_012, exposures=20_240, degraded=12, likes=19_000),
            GroupReading(group="test", ranker="test", models=["test@1"], assigned=988, exposures=19_760, degraded=9, likes=20_100),
        ],
        split=SplitReading(
            p_value=0.61,
            alpha=0.001,
            failed=False,
            periods=[PeriodSplit(weight_period=0, starts_at=START, expected={"control": 0.5, "test": 0.5}, assigned=assigned)],
        ),
        metrics=[
            MetricReading(
                metric="hit_rate",
                control=0.5721,
                test=0.6187,
                difference=Range(estimate=0.0466, low=0.0301, high=0.0631),
                lift=Range(estimate=0.0815, low=0.052, high=0.111),
                p_value=3e-8,
                adjusted_p_value=1.2e-7,
                always_valid=Range(estimate=0.0815, low=0.036, high=0.127),
                always_valid_p_value=0.00031,
                cuped=Range(estimate=0.0452, low=0.0321, high=0.0583),
                variance_removed=0.37,
                reading="better",
            ),
            MetricReading(metric="likes_per_user", control=None, test=None, reading="cannot_tell", why="no likes in test"),
        ],
        per_protocol=[MetricReading(metric="hit_rate", control=0.5725, test=0.6190, reading="better")],
        guardrails=[
            GuardrailReading(
                metric="slow_share",
                limit=0.01,
                over_ms=200.0,
                control=Range(estimate=0.002, low=0.001, high=0.004),
                test=Range(estimate=0.031, low=0.027, high=0.036),
                state="breached",
            )
        ],
        verdict=Verdict(kind="ship", reasons=["hit rate is up by 8.2 % [sure]", "every guardrail holds"]),
        unattributed={"no_exposure": 12, "late": 3},
        lag_seconds=2.0,
        history=[Change(at=START, by="admin", reason="reviewed", what="started", revision=1)],
    )  # fmt: skip
    return result.model_copy(update=changes)


def printed(result: Report, *runs: RunLine) -> str:
    out = io.StringIO()
    print_report(result, list(runs), Console(file=out, width=160))
    return out.getvalue()


def test_the_verdict_stands_first_and_the_next_step_last() -> None:
    lines = printed(report()).splitlines()
    assert (
        lines[0]
        == "Ship test: Hit rate is higher with test, by 3.6% to 12.7%, and every guardrail stays within its limit."
    )
    assert lines[1] == "By the rules: hit rate is up by 8.2 % [sure]; every guardrail holds"
    assert lines[-1] == 'Next: lenta experiment decide models ship --reason "..."'


def test_each_metric_says_what_may_be_read_every_day_and_what_once() -> None:
    said = printed(report())
    assert "+8.2%, +3.6 to +12.7%" in said
    assert "+8.2%, +5.2 to +11.1%" in said
    assert "+4.5 points, +3.2 to +5.8; 37.0% of the variance less" in said
    assert said.count("< 0.001") == 3
    assert "Likes per user: no likes in test" in said


def test_split_guardrails_and_what_belongs_nowhere_are_there() -> None:
    said = printed(report())
    assert "holds (p = 0.61)" in said
    assert "control 1,012, test 988" in said
    assert "Slower than 200 ms" in said
    assert "3.1% (2.7% to 3.6%)" in said
    assert "Breached" in said
    assert "no exposure 12, late 3" in said
    assert "data 2 s behind" in said


def test_a_failed_split_is_called_so() -> None:
    result = report()
    said = printed(
        result.model_copy(
            update={
                "split": result.split.model_copy(update={"failed": True, "p_value": 1e-9}),
                "verdict": Verdict(kind="split_failed", reasons=["far more users in control"]),
            }
        )
    )
    assert "Do not decide" in said
    assert "failed: p < 0.001, below 0.001" in said


def test_what_is_not_known_is_left_empty_and_not_made_up() -> None:
    result = report(
        metrics=[MetricReading(metric="hit_rate", control=None, test=None, why="no exposures yet")],
        per_protocol=[],
        guardrails=[],
        unattributed={},
        lag_seconds=None,
        split=SplitReading(p_value=None, alpha=0.001, failed=False, periods=[]),
        verdict=Verdict(kind="too_early", reasons=["no exposures yet"]),
    )
    said = printed(result)
    assert "Metrics: no exposures yet" in said
    assert "nan" not in said.lower()
    assert "None" not in said


def test_an_interleaved_and_a_shadowed_one_have_their_own_tables() -> None:
    votes = InterleavingReading(
        for_test=120, for_control=80, ties=9, share=Range(estimate=0.6, low=0.53, high=0.67), p_value=0.005, excluded=4
    )
    shadow = ShadowReading(
        asked=1_000,
        failed=2,
        p50_ms=3.2,
        p99_ms=14.0,
        overlap=Range(estimate=0.41, low=0.4, high=0.42),
        rank_correlation=Range(estimate=0.2, low=0.1, high=0.3),
    )
    said = printed(report(interleaving=votes, shadow=shadow))
    assert "60.0% (53.0% to 67.0%)" in said
    assert "4 exposures" in said
    assert "14.0 ms" in said


def test_earlier_analyses_are_listed_newest_first() -> None:
    runs = [RunLine(run=number, at=NOW, verdict="hold") for number in range(1, 9)]
    said = printed(report(), *runs)
    assert [line.split()[0] for line in said.splitlines() if "Hold" in line] == ["8", "7", "6", "5", "4"]


def test_a_decided_experiment_says_so_and_does_not_ask_to_decide() -> None:
    result = report()
    decided = result.experiment.model_copy(
        update={"state": "stopped", "decision": Decision(outcome="ship", at=NOW, by="admin", reason="it is better")}
    )
    said = printed(result.model_copy(update={"experiment": decided}))
    assert "stopped: shipped test on 2026-11-23 00:00 (it is better)" in said
    assert "decide models" not in said


def test_what_a_plan_can_show_is_a_sentence_and_a_table() -> None:
    lifts = [LiftPlan(lift=0.01, users=89_274, days=None), LiftPlan(lift=0.2, users=260, days=2)]
    reach = Reach(metric="hit_rate", rate=0.6576, days=9, users=[300, 2_000], smallest_lift=0.0681, lifts=lifts)
    out = io.StringIO()
    print_reach(reach, Console(file=out, width=160))
    assert "2,000 users with hit rate 65.8%: a lift of 6.8% or more is found by then" in out.getvalue()
    assert re.search(r"1% +89,274 +more than 9", out.getvalue())
    assert re.search(r"20% +260 +2", out.getvalue())
    out = io.StringIO()
    print_reach(Reach(metric="hit_rate", rate=None, days=0, why="nobody came"), Console(file=out, width=160))
    assert out.getvalue() == "Nothing to plan by: nobody came\n"
