"""What a terminal adds to a report's names: colours, the next step, and how numbers are written."""

from __future__ import annotations

from contracts.experiments import Experiment, State
from contracts.reports import GuardrailState, Range, Reading, VerdictKind

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


def after(kind: VerdictKind, experiment: Experiment) -> str:
    """What to do after a verdict; once it is decided, what is left to do."""
    return (AFTER[kind] if experiment.state == "running" else NEXT[experiment.state]).format(name=experiment.name)


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}".replace("%", " %")


def p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def signed(interval: Range | None, *, as_share: bool) -> str:
    """`+3.1 % (+1.0 to +5.2)`, or in the metric's own unit."""
    if interval is None:
        return ""
    scale, digits, unit = (100, 1, " %") if as_share else (1, 4, "")
    estimate, low, high = (value * scale for value in (interval.estimate, interval.low, interval.high))
    return f"{estimate:+.{digits}f}{unit} ({low:+.{digits}f} to {high:+.{digits}f})"


def plain(interval: Range | None) -> str:
    """A share with its interval: `0.2 % (0.1 to 0.4)`."""
    if interval is None:
        return ""
    return f"{100 * interval.estimate:.2f} % ({100 * interval.low:.2f} to {100 * interval.high:.2f})"
