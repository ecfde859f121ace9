"""What a terminal adds to a report's names and numbers: colours and the next step."""

from __future__ import annotations

from contracts.assignment import Group
from contracts.experiments import Experiment, State
from contracts.reports import GuardrailState, HealthState, Reading, VerdictKind

VERDICT_COLOURS: dict[VerdictKind, str] = {
    "too_early": "yellow",
    "split_failed": "red",
    "roll_back": "red",
    "hold": "yellow",
    "ship": "green",
    "keep_control": "cyan",
}
READING_COLOURS: dict[Reading, str] = {"better": "green", "worse": "red"}
GUARDRAIL_COLOURS: dict[GuardrailState, str] = {"holds": "green", "breached": "red"}
HEALTH_COLOURS: dict[HealthState, str | None] = {"bad": "red", "odd": "yellow", "good": "green", "cannot_tell": None}
"""The worst first."""
NEXT: dict[State, str] = {
    "draft": 'lenta experiment start {name} --reason "..."',
    "running": "lenta experiment report {name}",
    "stopped": 'lenta experiment report {name}, then lenta experiment archive {name} --reason "..."',
    "archived": "lenta experiment report {name} (it stays readable)",
}
AFTER: dict[VerdictKind, str] = {
    "too_early": "let it run and read it again tomorrow: any day is allowed",
    "hold": "let it run and read it again tomorrow: any day is allowed",
    "split_failed": 'find the cause, then lenta experiment decide {name} roll_back --reason "..."',
    "roll_back": 'lenta experiment decide {name} roll_back --reason "..."',
    "ship": 'lenta experiment decide {name} ship --reason "..."',
    "keep_control": 'lenta experiment decide {name} keep_control --reason "..."',
}


def coloured(text: str, colour: str | None) -> str:
    return f"[{colour}]{text}[/{colour}]" if colour else text


def next_step(experiment: Experiment) -> str:
    return NEXT[experiment.state].format(name=experiment.name)


def after(kind: VerdictKind, experiment: Experiment, group: Group = "test") -> str:
    """What to do after a verdict on the group; once it is decided, what is left to do."""
    step = (AFTER[kind] if experiment.state == "running" else NEXT[experiment.state]).format(name=experiment.name)
    several = len(experiment.plan.compared) > 1 and " decide " in step
    return f"{step} --group {group}" if several else step
