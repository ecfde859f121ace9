"""An example of every call: what is sent, and what comes. Made of the messages themselves, so none can be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.experiments import Change, Edit, Experiment, ExperimentPage, Plan, RunningExperiments
from contracts.reports import (
    ExperimentLine,
    GroupReading,
    GuardrailReading,
    LiftPlan,
    MetricReading,
    Range,
    Reach,
    Report,
    RunLine,
    SanityCheck,
    SplitReading,
    Verdict,
)
from contracts.rules import Freshness, RulesChange, RulesEdit, RuleSet, RulesPage, SlateRules
from contracts.wire import (
    Accepted,
    AlikePost,
    AlikePosts,
    Event,
    EventBatch,
    Explanation,
    Exposure,
    FeedRow,
    Message,
    Post,
    PostContent,
    Reason,
    Recommendations,
    User,
    UserProfile,
)
from pydantic import JsonValue, TypeAdapter

_CSV = "part,name,group,value,low,high,p_value,note\ngroup,likes,control,2100,,,,control@1\n"
_NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
_KEY = "5f0c6a1e9b0d4c7f8a2b3c4d5e6f7a8b"
_POSTS = [
    Post(id=152, text="She won the final set without losing a point.", topic="sport"),
    Post(id=54, text="An old lighthouse, two brothers, one boat.", topic="movie"),
]
_RULES = SlateRules(blocked_topics=["covid"], pins={1: 152}, most_per_topic=2, fresh=Freshness(share=0.2, days=3))
_RULE_SET = RuleSet(revision=1, rules=_RULES)
_RULES_EDIT = RulesEdit(rules=_RULES, reason="the final is today", by="ada", revision=0)
_RULES_CHANGE = RulesChange(
    at=_NOW, by="ada", reason="the final is today", what="most_per_topic: 2", revision=1, rules=_RULES
)
_PROFILE = UserProfile(age=30, gender=1, country="Russia", city="Samara", exp_group=1, os="iOS", source="ads")
_VIEW = Event(key="9f2c", user_id=200, post_id=152, action="view", timestamp=_NOW, request_id=_KEY)
_LIKE = Event(key="9f2d", user_id=200, post_id=152, action="like", request_id=_KEY)
_FEED = [FeedRow(timestamp=_NOW, user_id=200, post_id=152, action="view", target=1)]
_EXPERIMENT = Experiment(name="models", plan=Plan())
_EDIT = Edit(plan=Plan(weights={"control": 0.9, "test": 0.1}), state="running", reason="one in ten to begin with")
_HISTORY = [Change(at=_NOW, by="admin", reason="the new model is ready", what="created", revision=1)]
_PAGE = ExperimentPage(experiment=_EXPERIMENT, history=_HISTORY)
_EXPLANATION = Explanation(
    post_id=152,
    score=-0.9,
    bias=-2.1,
    reasons=[Reason(feature="topic_rate", value=0.31, contribution=0.8)],
    rest=0.4,
)
_EXPOSURE = Exposure(
    key=_KEY,
    user_id=200,
    experiment="models",
    group="test",
    ranker="test",
    model="test",
    model_version="20261124T030000Z",
    posts=[152, 54],
    scores=[-0.9, -1.1],
    asked_for=_NOW,
    served_at=_NOW,
    took_ms=3.2,
    likes=[152],
)
_READINGS = [
    GroupReading(
        group=group, ranker=group, models=[f"{group}@1"], assigned=900, exposures=7_000, degraded=12, likes=2_100
    )
    for group in ("control", "test")
]
_REPORT = Report(
    run=12,
    at=_NOW,
    experiment=_EXPERIMENT,
    days=9.4,
    groups=_READINGS,
    split=SplitReading(p_value=0.44, alpha=0.001, failed=False, periods=[]),
    metrics=[
        MetricReading(metric="hit_rate", control=0.301, test=0.313, lift=Range(estimate=0.04, low=0.01, high=0.07))
    ],
    per_protocol=[],
    guardrails=[
        GuardrailReading(metric="error_share", limit=0.02, over_ms=None, control=None, test=None, state="holds")
    ],
    verdict=Verdict(kind="hold", reasons=["Its interval still holds zero."]),
    history=_HISTORY,
)
_REACH = Reach(
    metric="hit_rate",
    rate=0.301,
    days=3,
    users=[900, 1_500, 1_900],
    smallest_lift=0.09,
    lifts=[LiftPlan(lift=0.1, users=1_600, days=3), LiftPlan(lift=0.05, users=6_300, days=None)],
)
_LINE = ExperimentLine(
    name="models", state="running", mode="ab", started_at=_NOW, stopped_at=None, verdict="hold", days=8.5, users=1_800
)


_SANITY = SanityCheck(
    at=_NOW, users=1_960, p_values=500, deciles=[48, 52, 55, 47, 50, 49, 46, 53, 51, 49], distance=0.02, p=0.94
)


@dataclass(frozen=True, slots=True)
class Example:
    answer: Message | Sequence[Message] | dict[str, str] | str
    body: Message | None = None


EXAMPLES: dict[tuple[str, str], Example] = {
    ("get", "/post/recommendations/"): Example(Recommendations(exp_group="test", recommendations=_POSTS)),
    ("get", "/{group}/post/recommendations/"): Example(_POSTS),
    ("get", "/{group}/post/explanations/"): Example([_EXPLANATION]),
    ("get", "/{group}/post/{id}/similar"): Example(
        AlikePosts(model="test", version="20261124T030000Z", posts=[AlikePost(post_id=54, likeness=0.82)])
    ),
    ("get", "/user/{id}"): Example(User(user_id=200, **_PROFILE.model_dump())),
    ("get", "/post/{id}"): Example(_POSTS[0]),
    ("get", "/user/{id}/feed"): Example(_FEED),
    ("get", "/post/{id}/feed"): Example(_FEED),
    ("post", "/events"): Example(Accepted(accepted=2), EventBatch(events=[_VIEW, _LIKE])),
    ("put", "/user/{id}"): Example(Accepted(accepted=1), _PROFILE),
    ("put", "/post/{id}"): Example(Accepted(accepted=1), PostContent(text=_POSTS[0].text, topic="sport")),
    ("delete", "/user/{id}"): Example(Accepted(accepted=1)),
    ("delete", "/post/{id}"): Example(Accepted(accepted=1)),
    ("get", "/running"): Example(RunningExperiments(experiments=[])),
    ("get", "/experiments"): Example([_LINE]),
    ("get", "/experiments/{name}"): Example(_PAGE),
    ("put", "/experiments/{name}"): Example(_PAGE, _EDIT),
    ("get", "/experiments/{name}/reach"): Example(_REACH),
    ("get", "/experiments/{name}/runs"): Example([RunLine(run=12, at=_NOW, verdict="hold")]),
    ("get", "/experiments/{name}/report"): Example(_REPORT),
    ("get", "/experiments/{name}/report.csv"): Example(_CSV),
    ("get", "/sanity"): Example([_SANITY]),
    ("get", "/exposures/{key}"): Example(_EXPOSURE),
    ("get", "/rules"): Example([_RULE_SET]),
    ("get", "/rules/{name}"): Example(RulesPage(rule_set=_RULE_SET, history=[_RULES_CHANGE])),
    ("put", "/rules/{name}"): Example(RulesPage(rule_set=_RULE_SET, history=[_RULES_CHANGE]), _RULES_EDIT),
    ("get", "/livez"): Example({"status": "live"}),
    ("get", "/readyz"): Example({"status": "ready"}),
}
"""By method and path."""
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def add_examples(description: dict[str, Any]) -> None:
    """description: of the API (OpenAPI); is changed."""
    for (method, path), example in EXAMPLES.items():
        operation = description["paths"][path][method]
        _show(next(answer for status, answer in operation["responses"].items() if status[0] == "2"), example.answer)
        if example.body is not None:
            _show(operation["requestBody"], example.body)


def _show(part: dict[str, Any], example: object) -> None:
    for content in part["content"].values():
        content["example"] = as_json(example)


def as_json(example: object) -> JsonValue:
    """As it travels; what a body leaves out stays out."""
    said: JsonValue = _ANY.dump_python(example, mode="json", exclude_unset=isinstance(example, Edit))
    return said
