"""One reading of one replica: what its /readyz and /metrics said, reduced to what the page shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as MetricLine

UNCOUNTED = {"/livez", "/readyz", "/metrics"}
"""Routes that no user asks."""
Buckets = Mapping[float, float]
"""Cumulative counts by upper bound in seconds, the last one infinite."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: datetime
    """Real time."""
    answered: bool
    ready: bool = False
    reasons: tuple[str, ...] = ()
    """Why it is not ready, or what it warns of."""
    version: str | None = None
    models: tuple[str, ...] = ()
    started_at: float | None = None
    """Unix seconds."""
    lag: float | None = None
    """Seconds, the worst shard's."""
    asked: float | None = None
    """Requests since the start, as are the counts below."""
    errors: float = 0.0
    """Answers 5xx."""
    served: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Recommendations by group and model."""
    degraded: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """By group and reason."""
    degraded_answers: Mapping[str, float] = field(default_factory=dict)
    """By group, each answer once, whatever its reasons."""
    replies: Mapping[str, Buckets] = field(default_factory=dict)
    """Of the rankers to the gateway, by service."""
    budget: float | None = None
    """Seconds that a ranker may take."""


def silent(at: datetime) -> Sample:
    return Sample(at, answered=False)


def read(at: datetime, status: int, health: Mapping[str, object], metrics: str) -> Sample:
    """status, health: of /readyz. Raises ValueError for metrics that cannot be read."""
    lines = _lines(metrics)
    asked, errors = _requests(lines["http_request_duration_seconds_count"])
    return Sample(
        at=at,
        answered=True,
        ready=status == 200,
        reasons=_reasons(health),
        version=next((line.labels.get("version") for line in lines["service_info"]), None),
        models=tuple(
            f"{line.labels.get('model', '')} {line.labels.get('version', '')}".strip()
            for line in lines["ranker_model_info"]
            if line.value
        ),
        started_at=next((line.value for line in lines["process_start_time_seconds"]), None),
        lag=max((line.value for line in lines["ingest_lag_seconds"]), default=None),
        asked=asked,
        errors=errors,
        served=_by(lines["gateway_recommendations_total"], "group", "model"),
        degraded=_by(lines["gateway_degraded_total"], "group", "reason"),
        degraded_answers={line.labels.get("group", ""): line.value for line in lines["gateway_degraded_answers_total"]},
        replies=_replies(lines["gateway_upstream_seconds_bucket"]),
        budget=next(
            (line.value for line in lines["gateway_budget_seconds"] if line.labels.get("of") == "ranker"), None
        ),
    )


def _lines(metrics: str) -> Mapping[str, list[MetricLine]]:
    by_name: dict[str, list[MetricLine]] = defaultdict(list)
    for family in text_string_to_metric_families(metrics):
        for line in family.samples:
            by_name[line.name].append(line)
    return by_name


def _reasons(health: Mapping[str, object]) -> tuple[str, ...]:
    said = health.get("reasons") or health.get("warnings")
    return tuple(str(reason) for reason in said.values()) if isinstance(said, Mapping) else ()


def _requests(lines: list[MetricLine]) -> tuple[float, float]:
    counted = [line for line in lines if line.labels.get("route") not in UNCOUNTED]
    errors = sum(line.value for line in counted if line.labels.get("status", "").startswith("5"))
    return sum(line.value for line in counted), errors


def _by(lines: list[MetricLine], first: str, second: str) -> dict[tuple[str, str], float]:
    return {(line.labels.get(first, ""), line.labels.get(second, "")): line.value for line in lines}


def _replies(lines: list[MetricLine]) -> dict[str, dict[float, float]]:
    """Summed over outcomes: a timeout takes its time too."""
    by_service: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for line in lines:
        if line.labels.get("service", "").startswith("ranker"):
            by_service[line.labels["service"]][float(line.labels["le"])] += line.value
    return {service: dict(sorted(buckets.items())) for service, buckets in by_service.items()}
