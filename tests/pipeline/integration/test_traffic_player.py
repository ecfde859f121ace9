"""Simulated users before a gateway that takes notes: what they send, when, and in which order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from chassis.clients import http_client
from contracts.clock import Clock
from contracts.wire import EventBatch
from pipeline.errors import LentaError
from pipeline.traffic.client import Door
from pipeline.traffic.clock import Pace
from pipeline.traffic.player import Player
from pipeline.traffic.preferences import Minds, hit_chance
from pipeline.traffic.schedule import schedule
from pipeline.traffic.tally import Tally
from pipeline.world.simulation import simulate
from pipeline.world.spec import WorldSpec
from pipeline.world.truth import Truth
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.fakes.gateway import served

END = date(2026, 11, 9)
NOON = datetime.fromisoformat("2026-11-09T12:00:00+00:00")
SPEED = 40_000.0
HEARD_LATE_SECONDS = 2.0
START = Clock(since=datetime.now(UTC), then=NOON, speed=1.0)


@dataclass
class Notes:
    """A gateway that recommends at random. turned_away: how many calls it sheds first."""

    users: int = 0
    turned_away: int = 0
    seconds: float = 0.0
    refuses: bool = False
    asked: list[tuple[int, str, datetime]] = field(default_factory=list)
    events: list[tuple[dict[str, object], datetime]] = field(default_factory=list)
    clocks: list[tuple[datetime, Clock]] = field(default_factory=list)
    """When each was written, and what."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(2))

    def write(self, clock: Clock) -> None:
        self.clocks.append((datetime.now(UTC), clock))

    def now(self) -> datetime:
        """Of a service that hears of a change as late as any does."""
        late = datetime.now(UTC) - timedelta(seconds=HEARD_LATE_SECONDS)
        heard = [clock for written, clock in self.clocks if written <= late]
        return (heard or [START])[-1].now()

    @property
    def speed(self) -> float:
        return self.clocks[-1][1].speed

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/post/recommendations/", self.recommend),
                Route("/{group}/post/recommendations/", self.preview),
                Route("/events", self.take, methods=["POST"]),
            ]
        )

    async def recommend(self, request: Request) -> Response:
        if self.refuses:
            return JSONResponse({"error": "unauthorized", "message": "no"}, 401)
        if self._sheds():
            return JSONResponse({}, 503, {"Retry-After": "0"})
        await asyncio.sleep(self.seconds)
        user, key = int(request.query_params["id"]), f"r{len(self.asked)}"
        self.asked.append((user, key, self.now()))
        body = {"exp_group": "control" if user % 2 else "test", "recommendations": self._posts()}
        return JSONResponse(body, headers={"X-Request-ID": key})

    async def preview(self, request: Request) -> Response:
        return JSONResponse(self._posts(), headers={"X-Request-ID": "preview"})

    async def take(self, request: Request) -> Response:
        if self._sheds():
            return JSONResponse({}, 503, {"Retry-After": "0"})
        batch = EventBatch.model_validate_json(await request.body())
        self.events += [(event.model_dump(), self.now()) for event in batch.events]
        return JSONResponse({"accepted": len(batch.events)}, 202)

    def _sheds(self) -> bool:
        self.turned_away -= 1
        return self.turned_away >= 0

    def _posts(self) -> list[dict[str, object]]:
        posts = self.rng.choice(np.arange(1, 201), 5, replace=False)
        return [{"id": int(post), "text": "t", "topic": "movie"} for post in posts]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("world")
    simulate(WorldSpec("tiny", 300, 200), 8, END, folder)
    return Truth.load(folder)


def play(truth: Truth, notes: Notes, users: int = 30, requests: float = 10, speed: float = SPEED) -> Tally:
    pace = Pace(START, notes.write)
    rng = np.random.default_rng(3)
    pace.run(speed)
    coming = schedule(range(200, 200 + users), pace.begins, 1, requests, truth.spec, rng)

    tally = Tally()

    async def played(url: str) -> None:
        async with http_client(url, timeout=5) as http:
            door = Door(http, "key")
            labels = lambda user, slate: slate.group  # noqa: E731
            minds = Minds(truth, rng)
            await Player(door, pace, minds, coming, labels, rng, lambda done, total: None, tally).play()

    with served(notes.app()) as url:
        asyncio.run(played(url))
    return tally


@pytest.fixture(scope="module")
def notes_and_tally(truth: Truth) -> tuple[Notes, Tally]:
    notes = Notes()
    return notes, play(truth, notes)


def test_everybody_asks_and_views_all_that_was_shown(notes_and_tally: tuple[Notes, Tally]) -> None:
    notes, tally = notes_and_tally
    views = [event for event, _ in notes.events if event["action"] == "view"]
    assert len({user for user, _, _ in notes.asked}) == 30
    assert len(views) == 5 * len(notes.asked) == 5 * tally.requests
    assert {event["request_id"] for event in views} == {key for _, key, _ in notes.asked}
    assert len({event["key"] for event, _ in notes.events}) == len(notes.events) == tally.events


def test_a_view_follows_its_answer_and_a_like_its_view(notes_and_tally: tuple[Notes, Tally]) -> None:
    notes, tally = notes_and_tally
    answered = {key: at for _, key, at in notes.asked}
    seen: dict[tuple[object, object], datetime] = {}
    for event, _ in notes.events:
        what, at = (event["request_id"], event["post_id"]), event["timestamp"]
        assert isinstance(at, datetime)
        if event["action"] == "view":
            assert at > answered[str(event["request_id"])]
            seen[what] = at
        else:
            assert seen[what] < at <= seen[what] + timedelta(seconds=178)
    likes = sum(event["action"] == "like" for event, _ in notes.events)
    assert likes == sum(line.likes for line in tally.lines.values()) > 0


def test_no_event_lies_ahead_of_the_platform_s_clock(notes_and_tally: tuple[Notes, Tally]) -> None:
    notes, _ = notes_and_tally
    for event, arrived in notes.events:
        assert isinstance(event["timestamp"], datetime)
        assert event["timestamp"] <= arrived


def test_what_a_user_did_has_arrived_before_he_asks_again(truth: Truth) -> None:
    """Also where events take longer than the next page."""
    notes = Notes(turned_away=0)
    order: list[tuple[int, str]] = []
    take, recommend = notes.take, notes.recommend

    async def slow_take(request: Request) -> Response:
        await asyncio.sleep(0.1)
        response = await take(request)
        order.extend((int(str(event["user_id"])), str(event["request_id"])) for event, _ in notes.events[len(order) :])
        return response

    async def noting(request: Request) -> Response:
        user = int(request.query_params["id"])
        asked = Counter(key for who, key, _ in notes.asked if who == user)
        arrived = Counter(key for who, key in order if who == user)
        assert all(arrived[key] >= 5 for key in asked), "asked again before their views arrived"
        return await recommend(request)

    notes.take, notes.recommend = slow_take, noting  # type: ignore[method-assign]
    tally = play(truth, notes, users=10)
    assert tally.requests == len(notes.asked)


def test_a_gateway_that_sheds_is_asked_again_and_nothing_is_lost(truth: Truth) -> None:
    notes = Notes(turned_away=12)
    tally = play(truth, notes, users=10)
    assert tally.requests == len(notes.asked)
    assert tally.events == len({event["key"] for event, _ in notes.events})


def test_a_machine_that_cannot_keep_up_slows_the_clock_and_skips_nothing(truth: Truth) -> None:
    notes = Notes(seconds=0.25)
    tally = play(truth, notes, users=60, requests=12, speed=SPEED * 3)
    assert tally.slowest == min(clock.speed for _, clock in notes.clocks) < SPEED * 3
    assert len({user for user, _, _ in notes.asked}) == 60
    assert all(at <= arrived for event, arrived in notes.events if isinstance(at := event["timestamp"], datetime))


def test_a_refusal_ends_it_with_the_gateway_s_words(truth: Truth) -> None:
    with pytest.raises(LentaError, match="answered 401"):
        play(truth, Notes(refuses=True), users=3)


def test_minds_like_by_the_truth_and_no_post_twice(truth: Truth) -> None:
    minds = Minds(truth, np.random.default_rng(1))
    posts = [1, 2, 3, 4, 9_999]
    before = minds.chances(200, posts, NOON, 0)
    assert (before[:4] > 0).all()
    assert before[4] == 0
    liked = {
        post for _ in range(60) for post, likes in zip(posts, minds.views(200, posts, NOON, 0), strict=True) if likes
    }
    assert liked
    after = minds.chances(200, posts, NOON, 0)
    assert [after[posts.index(post)] for post in liked] == [0.0] * len(liked)
    assert minds.likes_already(200, posts) == len(liked)
    assert hit_chance(np.array([0.5, 0.5])) == 0.75


def test_chances_are_the_rates_of_likes(truth: Truth) -> None:
    rng = np.random.default_rng(1)
    posts = list(range(1, 51))
    expected = sum(Minds(truth, rng).chances(user, posts, NOON, 0).sum() for user in range(200, 400))
    liked = sum(Minds(truth, rng).views(user, posts, NOON, 0).sum() for user in range(200, 400))
    assert liked == pytest.approx(expected, rel=0.06)
