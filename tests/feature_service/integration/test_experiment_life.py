"""An experiment's life in any order: plan, start, weights, pause, resume, stop, decide, archive.

What cannot be is refused without a trace, and gateways are told just what Postgres holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, cast

import pytest
from contracts.experiments import Experiment, ExperimentPage, Pause, Plan, RunningExperiments
from feature_service.experiments.definitions import record
from feature_service.experiments.lifecycle import put_on_pause
from feature_service.experiments.published import LOCK_EXPERIMENTS, publish
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.support.fuzz import FUZZ
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform

EXAMPLES = 6 * FUZZ
USERS = range(200, 260)
SHARES = st.sampled_from((0.0, 0.1, 0.5, 1.0))
NEXT = {"draft": {"running", "archived"}, "running": {"stopped"}, "stopped": {"archived"}, "archived": set[str]()}
"""From each state."""


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        running.http.put("/experiments/models", json={"state": "stopped", "reason": "room"}).raise_for_status()
        yield running


class Life(RuleBasedStateMachine):
    """Of one experiment an example, on one platform. What it should be is kept beside: state, weights, decision."""

    examples = 0

    def __init__(self, platform: FeaturePlatform) -> None:
        super().__init__()
        Life.examples += 1
        self.platform, self.name = platform, f"life-{Life.examples}"
        self.state, self.revision, self.test, self.enrolment = "", 0, 0.5, 0.5
        self.pausing, self.decided = False, ""
        self.before = {name: line for name, line in self._listed().items() if name != self.name}

    @rule(test=SHARES, state=st.sampled_from((None, "draft", "running")))
    def plan(self, test: float, state: str | None) -> None:
        """Anew, or on from where it is; the same weights are a change of nothing, or refused while it pauses."""
        may = self.state in ("", "draft", "running") and not (self.pausing and test == self.test)
        same = bool(self.state) and test == self.test
        self._put(may or (same and not self.pausing), changes=not same, plan=self._plan(test))
        if may:
            self.state, self.test, self.pausing = self.state or "draft", test, False
        if state == "running" and self.state:
            self.move("running")

    @precondition(lambda self: self.state == "running")
    @rule(more=st.sampled_from((0.1, -0.1)))
    def enrol(self, more: float) -> None:
        """More of the users while it runs, never fewer."""
        wanted = round(min(max(self.enrolment + more, 0.0), 1.0), 1)
        may = wanted >= self.enrolment and not (wanted == self.enrolment and self.pausing)
        self._put(may, changes=wanted != self.enrolment, plan=self._plan(self.test) | {"enrolment": wanted})
        self.enrolment = wanted if may else self.enrolment

    @precondition(lambda self: self.state)
    @rule(state=st.sampled_from(("draft", "running", "stopped", "archived")))
    def move(self, state: str) -> None:
        may = state == self.state or state in NEXT[self.state]
        self._put(may, changes=state != self.state, state=state)
        if may:
            self.pausing &= state == "running"
            self.state = state

    @precondition(lambda self: self.state == "running" and not self.pausing)
    @rule()
    def pause(self) -> None:
        """As the watch over guardrails does."""
        groups = self._groups()
        now = datetime.now(UTC)
        pause = Pause(why="error_share", until=now + timedelta(hours=1))
        with self.platform.engine.begin() as connection:
            connection.execute(LOCK_EXPERIMENTS)
            paused = put_on_pause(self._experiment(), now, pause, "in trouble")
            record(connection, paused, now, by="guardrail", reason="in trouble", what="paused")
        publish(self.platform.engine, self.platform.client)
        self.pausing, self.revision = True, self.revision + 1
        assert set(self._groups().values()) == {"control"}
        self.groups_before_the_pause = groups

    @precondition(lambda self: self.state)
    @rule()
    def resume(self) -> None:
        self._put(self.pausing, changes=True, resume=True)
        if self.pausing:
            assert self.groups_before_the_pause.items() <= self._groups().items()
        self.pausing = False

    @precondition(lambda self: self.state)
    @rule(outcome=st.sampled_from(("ship", "keep_control", "roll_back")))
    def decide(self, outcome: str) -> None:
        may = self.state in ("running", "stopped") and not self.decided
        self._put(may, changes=True, decision=outcome)
        if may:
            self.state, self.decided, self.pausing = "stopped", outcome, False
            assert self._running().otherwise == ("test" if outcome == "ship" else "control")

    @rule()
    def publish_again(self) -> None:
        """What ingest does now and again changes nothing."""
        before = self._running()
        self.platform.client.delete("experiments")
        self.platform.ingest.chores(datetime.now(UTC))
        assert self._running() == before

    @invariant()
    def is_what_it_should_be(self) -> None:
        if not self.state:
            assert self.platform.http.get(f"/experiments/{self.name}").status_code == 404
            return
        page = self._page()
        one = page.experiment
        assert (one.state, one.revision, one.plan.weights["test"]) == (self.state, self.revision, self.test)
        assert (one.decision.outcome if one.decision else "") == self.decided
        assert (one.paused is not None) == self.pausing
        assert [line.revision for line in page.history] == list(range(1, self.revision + 1))
        numbers = [period.number for period in one.periods]
        assert numbers == sorted(set(numbers))
        assert all(a.starts_at <= b.starts_at for a, b in pairwise(one.periods))

    @invariant()
    def gateways_are_told_just_this(self) -> None:
        told = {one.name: one for one in self._running().experiments}
        assert told == ({self.name: self._experiment()} if self.state == "running" else {})

    def teardown(self) -> None:
        """It ends, whatever became of it, so that the next one may run; nothing of another has changed."""
        for one in self._running().experiments:
            end = {"state": "stopped", "reason": "the end"}
            self.platform.http.put(f"/experiments/{one.name}", json=end).raise_for_status()
        assert {name: line for name, line in self._listed().items() if name != self.name} == self.before

    def _plan(self, test: float) -> dict[str, Any]:
        return Plan(weights={"control": 1 - test, "test": test}, enrolment=self.enrolment).model_dump(mode="json")

    def _put(self, may: bool, *, changes: bool, **edit: Any) -> None:
        """Taken, or refused with a word of what is in the way."""
        answer = self.platform.http.put(f"/experiments/{self.name}", json={"reason": "any order", **edit})
        assert answer.status_code == (200 if may else 409), f"{self.state}, {edit}: {answer.text}"
        if not may:
            assert answer.json()["field"], answer.text
        self.revision += may and changes

    def _page(self) -> ExperimentPage:
        answer = self.platform.http.get(f"/experiments/{self.name}").raise_for_status()
        return ExperimentPage.model_validate_json(answer.content)

    def _experiment(self) -> Experiment:
        return self._page().experiment

    def _running(self) -> RunningExperiments:
        return RunningExperiments.model_validate_json(self.platform.http.get("/running").raise_for_status().content)

    def _listed(self) -> dict[str, dict[str, Any]]:
        return {line["name"]: line for line in self.platform.http.get("/experiments").raise_for_status().json()}

    def _groups(self) -> dict[int, str]:
        """Of whoever takes part."""
        experiment, now = self._experiment(), datetime.now(UTC)
        assigned = {user: experiment.assign(user, now) for user in USERS}
        return {user: one.group for user, one in assigned.items() if one.enrolled}


def test_in_any_order_an_experiment_is_what_its_edits_made_of_it(platform: FeaturePlatform) -> None:
    run_state_machine_as_test(
        cast(type[RuleBasedStateMachine], partial(Life, platform)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
