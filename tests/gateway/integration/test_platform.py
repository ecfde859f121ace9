"""Gateways over the real feature-service: an edit is live within two seconds, and what happened is in Postgres."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contracts.experiments import Plan
from contracts.headers import API_KEY, REQUEST_ID
from contracts.interleaving import team_draft
from gateway.app import create
from gateway.settings import Settings
from sqlalchemy import text

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Ranker
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform
from tests.support.platforms.gateway_stage import ADMIN, KEY, until, until_ready

LIVE_SECONDS = 2.0
USERS = range(5_000, 5_010)
"""Of whom nothing is hidden."""


@dataclass
class Platform:
    features: FeaturePlatform
    gateways: list[httpx.Client]
    control: Ranker
    test: Ranker

    @property
    def http(self) -> httpx.Client:
        return self.gateways[0]

    def edit(self, name: str, **body: object) -> httpx.Response:
        return self.http.put(
            f"/experiments/{name}", json={"reason": "a test of modes", **body}, headers={API_KEY: ADMIN}
        )

    def only(self, name: str, plan: Plan) -> None:
        """The one that runs, followed by every gateway."""
        self.edit("models", state="stopped").raise_for_status()
        self.edit(name, plan=plan.model_dump(mode="json"), state="running").raise_for_status()
        time.sleep(LIVE_SECONDS)

    def ask(self, user: int) -> httpx.Response:
        return self.http.get("/post/recommendations/", params={"id": user}).raise_for_status()

    def settle(self, assigned: int) -> None:
        """Until Postgres holds so many assignments, and all that was logged before."""

        def has_come() -> bool:
            self.features.settle()
            return self.features.count("assignments") >= assigned

        until(has_come)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.features.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[Platform]:
    """Two gateways."""
    control, test = Ranker("control", 1), Ranker("test", 11)
    with feature_platform(postgres_url, redis_url) as features, ExitStack() as stack:
        settings = Settings(
            features_url=features.url,
            control_url=stack.enter_context(served(control.app())),
            test_url=stack.enter_context(served(test.app())),
            api_keys=KEY,
            admin_keys=ADMIN,
            deadline_ms=3_000,
            features_ms=1_000,
            exposure_ms=1_000,
            ranker_ms=1_000,
        )
        gateways = []
        for _ in range(2):
            url = stack.enter_context(served(create(settings)))
            gateways.append(stack.enter_context(httpx.Client(base_url=url, timeout=10)))
        for http in gateways:
            until_ready(http)
        yield Platform(features, gateways, control, test)


def test_changed_weights_and_a_stop_are_live_in_every_gateway_within_two_seconds(platform: Platform) -> None:
    def groups(http: httpx.Client) -> set[str]:
        return {http.get("/post/recommendations/", params={"id": user}).json()["exp_group"] for user in USERS}

    plan = platform.http.get("/experiments/models", headers={API_KEY: KEY}).json()["experiment"]["plan"]
    for weights in ({"control": 0.0, "test": 1.0}, {"control": 1.0, "test": 0.0}):
        platform.edit("models", plan={**plan, "weights": weights}).raise_for_status()
        changed = time.monotonic()
        wanted = {group for group, weight in weights.items() if weight}
        for http in platform.gateways:
            until(lambda: groups(http) == wanted, seconds=5)  # noqa: B023
        assert time.monotonic() - changed < LIVE_SECONDS + 1.0  # the asking takes its time too
    platform.settle(20)
    periods = platform.rows("SELECT DISTINCT weight_period FROM assignments WHERE exp_group = 'control' ORDER BY 1")
    assert periods[-1]["weight_period"] == 2


def test_a_late_save_is_refused_in_feature_services_words(platform: Platform) -> None:
    page = platform.http.get("/experiments/models", headers={API_KEY: KEY}).json()
    first = {"plan": {**page["experiment"]["plan"], "weights": {"control": 0.4, "test": 0.6}}, "revision": 1}
    assert platform.edit("models", **first).status_code == 200
    late = platform.edit("models", **first)
    assert (late.status_code, late.json()["error"]) == (409, "conflict")


def test_an_interleaved_answer_is_recorded_as_it_can_be_drawn_again(platform: Platform) -> None:
    platform.only("drafts", Plan(mode="interleave"))
    keys = {platform.ask(user).headers[REQUEST_ID]: user for user in USERS}
    platform.settle(len(USERS))
    rows = platform.rows("SELECT key, user_id, posts, teams, model, mode FROM exposures")
    assert {row["key"]: row["user_id"] for row in rows} == keys
    for row in rows:
        draft = team_draft(range(1, 6), range(11, 16), 5, str(row["key"]))
        assert (row["posts"], row["teams"]) == (draft.posts, draft.teams)
        assert (row["mode"], row["model"]) == ("interleave", "control+test")


def test_a_shadow_is_recorded_beside_the_exposure_that_was_seen(platform: Platform) -> None:
    platform.only("beside", Plan(mode="shadow"))
    for user in USERS:
        platform.ask(user)
    platform.settle(len(USERS))

    def has_come() -> bool:
        platform.features.settle()
        return platform.features.count("shadows") == len(USERS)

    until(has_come)
    joined = platform.rows(
        "SELECT e.ranker AS seen, s.ranker AS other, s.posts FROM exposures e JOIN shadows s ON s.key = e.key"
    )
    assert len(joined) == len(USERS)
    assert {(row["seen"], row["other"]) for row in joined} == {("control", "test")}
    assert all(row["posts"] == list(range(11, 16)) for row in joined)


def test_an_explored_slot_is_recorded_with_its_propensity(platform: Platform) -> None:
    platform.only("explore", Plan(exploration=0.5))
    platform.test.ids = list(range(30, 0, -1))
    for user in range(5_000, 5_040):
        platform.ask(user)
    platform.settle(40)
    rows = platform.rows("SELECT posts, propensities, degraded FROM exposures")
    assert {row["degraded"] for row in rows} == {None}
    assert {row["propensities"][-1] for row in rows} == {0.5, 0.025}
    assert all(len(set(row["posts"])) == 5 for row in rows)


def test_a_user_is_assigned_once_however_many_gateways_tell_it(platform: Platform) -> None:
    for http in platform.gateways:
        for user in USERS:
            http.get("/post/recommendations/", params={"id": user}).raise_for_status()
    platform.settle(len(USERS))
    time.sleep(1.0)
    platform.features.settle()
    assert platform.features.count("assignments") == len(USERS)
    assert platform.features.count("exposures") == 2 * len(USERS)


def test_an_exposure_can_be_read_by_its_key(platform: Platform) -> None:
    key = platform.ask(5_000).headers[REQUEST_ID]
    platform.settle(1)
    result = platform.http.get(f"/exposures/{key}", headers={API_KEY: KEY})
    assert result.status_code == 200
    assert result.json()["posts"] in (list(range(1, 6)), list(range(11, 16)))
    assert platform.http.get("/exposures/0000", headers={API_KEY: KEY}).status_code == 404
