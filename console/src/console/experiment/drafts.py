"""An experiment that was never started: its plan in words, and what its traffic can show."""

from __future__ import annotations

from contracts import names, numbers
from contracts.experiments import ExperimentPage
from contracts.names import METRICS
from contracts.plan_words import plan_in_words
from contracts.reports import Reach
from contracts.wire import Message

from console.words import Fact


class ReachView(Message):
    sentence: str
    heads: list[str]
    rows: list[list[str]]


class DraftView(Message):
    name: str
    standing: str
    is_over: bool
    plan: list[Fact]
    reach: ReachView | None
    log: list[Fact]


def draft_of(page: ExperimentPage, reach: Reach | None) -> DraftView:
    experiment = page.experiment
    return DraftView(
        name=experiment.name,
        standing="Not started" if experiment.state == "draft" else "Never started",
        is_over=experiment.state != "draft",
        plan=[Fact(label=label, value=value) for label, value in plan_in_words(experiment).items() if value],
        reach=reach_of(reach) if reach is not None and experiment.state == "draft" else None,
        log=[
            Fact(label=numbers.date_and_clock(change.at), value=f"{change.what}: {change.reason}, by {change.by}")
            for change in sorted(page.history, key=lambda change: change.revision, reverse=True)
        ],
    )


def reach_of(reach: Reach) -> ReachView:
    """How many users and days an effect takes, and which one so many users find."""
    if reach.rate is None or reach.smallest_lift is None:
        return ReachView(sentence=f"Nothing to plan by yet: {reach.why}.", heads=[], rows=[])
    name = METRICS[reach.metric]
    sentence = (
        f"As in the last {numbers.count(reach.days, 'day', 'days')}, {reach.users[-1]:,} users take part, with "
        f"{name.within} {numbers.metric(reach.metric, reach.rate)}: a lift of {numbers.size_of(reach.smallest_lift)} or "
        "more is found by then with a chance of 80%, read every day."
    )
    rows = [
        [numbers.limit(each.lift), f"{each.users:,}", str(each.days) if each.days else f"more than {reach.days}"]
        for each in reach.lifts
    ]
    return ReachView(
        sentence=sentence, heads=[f"Lift of {names.metric(reach.metric).lower()}", "Users", "Days"], rows=rows
    )
