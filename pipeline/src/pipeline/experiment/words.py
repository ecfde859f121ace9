"""The report's words: what a verdict, a reading and a number say to people."""

from __future__ import annotations

from contracts.experiments import Experiment, GuardrailMetric, Metric, Outcome, State
from contracts.reports import GuardrailState, Range, Reading, VerdictKind

VERDICTS: dict[VerdictKind, str] = {
    "too_early": "Too early to tell",
    "split_failed": "Don't read it, the split has failed",
    "roll_back": "Roll back",
    "hold": "Hold, let it run on",
    "ship": "Ship test",
    "keep_control": "Keep control",
}
COLOURS: dict[VerdictKind, str] = {
    "too_early": "yellow",
    "split_failed": "red",
    "roll_back": "red",
    "hold": "yellow",
    "ship": "green",
    "keep_control": "cyan",
}
METRICS: dict[Metric, str] = {
    "hit_rate": "hit rate",
    "likes_per_exposure": "likes an exposure",
    "likes_per_user": "likes a user",
    "exposures_per_user": "exposures a user",
}
READINGS: dict[Reading, str] = {
    "better": "[green]better[/green]",
    "worse": "[red]worse[/red]",
    "unclear": "unclear",
    "cannot_tell": "can't tell",
    "watched": "watched",
}
GUARDRAILS: dict[GuardrailMetric, str] = {
    "slow_share": "slower answers",
    "error_share": "ranker failed",
    "fallback_share": "fallback answers",
}
GUARDRAIL_STATES: dict[GuardrailState, str] = {
    "holds": "[green]holds[/green]",
    "unclear": "unclear",
    "breached": "[red]breached[/red]",
    "cannot_tell": "can't tell",
}
OUTCOMES: dict[Outcome, str] = {"ship": "shipped", "keep_control": "control kept", "roll_back": "rolled back"}
NEXT: dict[State, str] = {
    "draft": 'lenta experiment start {name} --reason "..."',
    "running": "lenta experiment report {name}",
    "stopped": 'lenta experiment report {name}, then lenta experiment archive {name} --reason "..."',
    "archived": "lenta experiment report {name} (it stays readable)",
}
AFTER: dict[VerdictKind, str] = {
    "too_early": "let it run; read it again tomorrow: every day is allowed",
    "hold": "let it run; read it again tomorrow: every day is allowed",
    "split_failed": 'find the cause, then lenta experiment decide {name} roll_back --reason "..."',
    "roll_back": 'lenta experiment decide {name} roll_back --reason "..."',
    "ship": 'lenta experiment decide {name} ship --reason "..."',
    "keep_control": 'lenta experiment decide {name} keep_control --reason "..."',
}


def next_step(experiment: Experiment) -> str:
    return NEXT[experiment.state].format(name=experiment.name)


def after(kind: VerdictKind, experiment: Experiment) -> str:
    """What to do on a verdict; once it is decided, what is left to do."""
    return (AFTER[kind] if experiment.state == "running" else NEXT[experiment.state]).format(name=experiment.name)


def share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}".replace("%", " %")


def p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def signed(found: Range | None, *, as_share: bool) -> str:
    """`+3.1 % (+1.0 to +5.2)`, or in the metric's own unit."""
    if found is None:
        return ""
    scale, digits, unit = (100, 1, " %") if as_share else (1, 4, "")
    estimate, low, high = (value * scale for value in (found.estimate, found.low, found.high))
    return f"{estimate:+.{digits}f}{unit} ({low:+.{digits}f} to {high:+.{digits}f})"


def plain(found: Range | None) -> str:
    """A share with its interval: `0.2 % (0.1 to 0.4)`."""
    if found is None:
        return ""
    return f"{100 * found.estimate:.2f} % ({100 * found.low:.2f} to {100 * found.high:.2f})"
