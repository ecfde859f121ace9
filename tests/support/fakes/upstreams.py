"""feature-service and a ranker as small apps whose behaviour a test changes while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from chassis.inner_door import InnerDoor
from contracts.assignment import Group
from contracts.experiments import Experiment, ExperimentPage, Plan, RunningExperiments
from contracts.headers import TEXTS_VERSION
from contracts.records import Counts, Profile, UserRow, pack_row
from contracts.rules import RuleSet, SlateRules
from contracts.wire import (
    Assigned,
    Assignments,
    Explanation,
    Explanations,
    Exposure,
    PopularPosts,
    Post,
    PostIds,
    Posts,
    Ranking,
    Reason,
    Ruled,
    Shadowed,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

POPULAR = [Post(id=number, text=f"popular {number}", topic="movie") for number in range(900, 920)]
IN_SEGMENT = [Post(id=number, text=f"in segment {number}", topic="sport") for number in range(800, 820)]


def started(plan: Plan | None = None, name: str = "models") -> Experiment:
    """Running since long ago."""
    return Experiment.started(name, plan or Plan(), datetime(2020, 1, 1, tzinfo=UTC))


def all_in(group: Group) -> Plan:
    """Every user in one group."""
    return Plan(weights={"control": float(group == "control"), "test": float(group == "test")})


@dataclass(frozen=True)
class Refusal:
    status: int
    problem: Mapping[str, str | None]


@dataclass
class Features:
    running: RunningExperiments = field(default_factory=lambda: RunningExperiments(experiments=[started()]))
    running_status: int = 200
    administered: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with query of every call about experiments and exposures."""
    edits: list[bytes] = field(default_factory=list)
    experiment_refusal: Refusal | None = None
    polls: list[int] = field(default_factory=list)
    """The status of every answer about running experiments."""
    assigned: list[Assigned] = field(default_factory=list)
    assigned_status: int = 202
    popular_status: int = 200
    gone: bytes = b""
    """Posts that went lately, uint32 each; rows name them too."""
    shadowed: list[Shadowed] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """What is asked on the way of a recommendation, in order of arrival."""
    hidden: dict[int, list[int]] = field(default_factory=dict)
    exposures: list[Exposure] = field(default_factory=list)
    row_status: int = 200
    exposure_status: int = 202
    exposure_delay: float = 0.0
    """After it is recorded."""
    texts_status: int = 200
    without_text: set[int] = field(default_factory=set)
    edition: str = "text"
    """What every text begins with."""
    texts_version: str = "1.0"
    delay: float = 0.0
    refusal: dict[str, str] | None = None
    busy: int = 0
    """So many writes to come are answered with 503."""
    history_status: int = 200
    row: bytes | None = None
    """Instead of the right one."""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The headers of every row that was asked for."""
    seen: list[bytes] = field(default_factory=list)

    @property
    def experiment(self) -> Experiment:
        return self.running.experiments[0]

    def run(self, *experiments: Experiment, otherwise: Group = "control") -> None:
        sets = self.running.rule_sets
        self.running = RunningExperiments(experiments=list(experiments), otherwise=otherwise, rule_sets=sets)

    def rule(self, rules: SlateRules, name: str = "default", revision: int = 1) -> None:
        """From the next poll on."""
        sets = {**self.running.rule_sets, name: RuleSet(name=name, revision=revision, rules=rules)}
        self.running = self.running.model_copy(update={"rule_sets": sets})

    def app(self) -> ASGIApp:
        """Behind the door that the real one has: what it would refuse is refused here."""
        return _behind_door(
            [
                Route("/users/{id:int}/row", self._row),
                Route("/running", self._running),
                Route("/popular", self._popular),
                Route("/gone", lambda _: Response(self.gone)),
                Route("/experiments", self._administer),
                Route("/experiments/{rest:path}", self._administer, methods=["GET", "PUT"]),
                Route("/rules", self._administer),
                Route("/rules/{rest:path}", self._administer, methods=["GET", "PUT"]),
                Route("/exposures/{key}", self._administer),
                Route("/exposures", self._exposures, methods=["POST"]),
                Route("/assignments", self._assignments, methods=["POST"]),
                Route("/shadows", self._shadows, methods=["POST"]),
                Route("/posts", self._posts, methods=["POST"]),
                Route("/events", self._accept, methods=["POST"]),
                Route("/users/{id:int}", self._accept, methods=["PUT", "DELETE"]),
                Route("/posts/{id:int}", self._accept, methods=["PUT", "DELETE"]),
                Route("/posts/{id:int}", self._post),
                Route("/users/{id:int}/feed", self._feed),
            ]
        )

    async def _row(self, request: Request) -> Response:
        self.calls.append("row")
        self.asked.append(dict(request.headers))
        await asyncio.sleep(self.delay)
        if self.row is not None:
            return Response(self.row)
        user = request.path_params["id"]
        if user >= 10_000:
            return Response(pack_row(b"", b"", b""))
        hidden = np.array(self.hidden.get(user, []), "<u4").tobytes()
        row = pack_row(Profile(age=30).pack(), Counts().pack(), hidden, self.gone)
        return Response(row, self.row_status)

    async def _running(self, request: Request) -> Response:
        body = self.running.model_dump_json().encode()
        etag = f'"{sha256(body).hexdigest()}"'
        same = request.headers.get("If-None-Match") == etag
        self.polls.append(304 if same else self.running_status)
        return Response(
            b"" if same else body, self.polls[-1], headers={"ETag": etag, TEXTS_VERSION: self.texts_version}
        )

    async def _administer(self, request: Request) -> Response:
        self.administered.append((request.method, f"{request.url.path}?{request.url.query}".rstrip("?")))
        if self.experiment_refusal is not None:
            return JSONResponse(self.experiment_refusal.problem, self.experiment_refusal.status)
        if request.method == "PUT":
            self.edits.append(await request.body())
            return Response(ExperimentPage(experiment=self.experiment, history=[]).model_dump_json())
        if request.url.path.endswith(".csv"):
            return Response("metric,group\n", media_type="text/csv")
        etag = '"7"'
        same = request.headers.get("If-None-Match") == etag
        return Response(b"" if same else b"{}", 304 if same else 200, {"ETag": etag}, "application/json")

    async def _popular(self, _: Request) -> Response:
        return Response(
            PopularPosts(overall=POPULAR, segments={"3": IN_SEGMENT}).model_dump_json(), self.popular_status
        )

    async def _exposures(self, request: Request) -> Response:
        self.calls.append("exposure")
        exposure = Exposure.model_validate_json(await request.body())
        if self.exposure_status == 202 or self.exposure_delay:
            self.exposures.append(exposure)
        await asyncio.sleep(self.exposure_delay)
        return JSONResponse({"accepted": 1}, self.exposure_status)

    async def _assignments(self, request: Request) -> Response:
        assignments = Assignments.model_validate_json(await request.body())
        if self.assigned_status == 202:
            self.assigned += assignments.assigned
        return Response(status_code=self.assigned_status)

    async def _shadows(self, request: Request) -> Response:
        self.shadowed.append(Shadowed.model_validate_json(await request.body()))
        return Response(status_code=202)

    async def _posts(self, request: Request) -> Response:
        self.calls.append("posts")
        ids = PostIds.model_validate_json(await request.body()).ids
        known = [post for post in ids if post not in self.without_text]
        posts = Posts(posts=[Post(id=post, text=f"{self.edition} {post}", topic="movie") for post in known])
        return Response(posts.model_dump_json(), self.texts_status)

    async def _post(self, request: Request) -> Response:
        return JSONResponse({"id": request.path_params["id"], "text": "A post.", "topic": "sport"})

    async def _accept(self, request: Request) -> Response:
        if self.busy > 0:
            self.busy -= 1
            return Response(status_code=503)
        self.seen.append(await request.body())
        if self.refusal is not None:
            return JSONResponse(self.refusal, 422)
        return JSONResponse({"accepted": 1}, 202)

    async def _feed(self, _: Request) -> Response:
        row = {"timestamp": "2021-12-01T00:00:00Z", "user_id": 1, "post_id": 2, "action": "view", "target": 0}
        return JSONResponse({"rows": [row], "next_cursor": "more"}, self.history_status)


@dataclass
class Ranker:
    name: str
    first: int
    status: int = 200
    delay: float = 0.0
    calls: int = 0
    garbled: bool = False
    ids: list[int] | None = None
    """Best first, instead of thirty from `first` on."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    """Of every call: how many posts, and how many more to explore."""
    topics: dict[int, str] = field(default_factory=dict)
    """Of posts that are not about movies."""
    first_view_at: dict[int, int] = field(default_factory=dict)
    rules: SlateRules = field(default_factory=SlateRules)
    """The last that came."""
    shown: list[int] = field(default_factory=list)
    explain_status: int = 200
    explained: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def app(self) -> ASGIApp:
        """Behind the door that the real one has: what it would refuse is refused here."""
        return _behind_door(
            [
                Route("/rank", self._rank, methods=["POST"]),
                Route("/explain", self._explain, methods=["POST"]),
            ]
        )

    async def _rank(self, request: Request) -> Response:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.delay)
        self.at_once -= 1
        limit, explored = int(request.query_params["limit"]), int(request.query_params["explored"])
        body, behind = await request.body(), int(request.query_params.get("rules", 0))
        shown = int(request.query_params.get("shown", 0))
        end = len(body) - behind - shown
        row = UserRow.unpack(body[:end])
        self.asked.append((limit, explored))
        liked = request.query_params.get("liked", "")
        hidden = {*row.hidden.tolist(), *map(int, filter(None, liked.split(",")))}
        ranked = range(self.first, self.first + 30) if self.ids is None else self.ids
        ids = [post for post in ranked if post not in hidden]
        if behind and not self.garbled:
            self.rules = SlateRules.model_validate_json(body[end : end + behind])
            self.shown = np.frombuffer(body[end + behind :], "<u4").tolist()
            return Response(self._pool(ids, hidden, limit, explored).model_dump_json(), self.status)
        ids = ids[: limit + explored]
        if self.garbled:
            return Response('{"posts": "many"}')
        ranking = Ranking(model=self.name, version="v1", posts=ids, scores=[-float(post) for post in ids])
        return Response(ranking.model_dump_json(), self.status)

    def _pool(self, own: list[int], hidden: set[int], limit: int, explored: int) -> Ranking:
        """As a ranker answers rules: what they allow, by boosted score, and pins."""
        pins = [post for post in self.rules.pins.values() if post not in hidden | self.rules.blocked]
        topics = {post: self.topics.get(post, "movie") for post in [*own, *pins]}
        why = {post: self.rules.forbids(post, topics[post], 0.0, self.shown) for post in topics}
        boosted = {post: self.rules.boost_of(post, topics[post]) - place for place, post in enumerate(own)}
        allowed = sorted((post for post in own if why[post] is None), key=lambda post: -boosted[post])
        pool = allowed[: limit + 15]
        pool += [post for post in pins if post not in pool]
        posts = pool + [post for post in allowed if post not in pool][:explored]
        ruled = Ruled(
            pool=len(pool),
            topics=[topics[post] for post in posts],
            first_view_at=[self.first_view_at.get(post, 0) for post in posts],
            own=own[:limit],
            kept_out={post: rule for post in own[:limit] if (rule := why[post]) is not None},
        )
        scores = [-float(post) for post in posts]
        return Ranking(model=self.name, version="v1", posts=posts, scores=scores, ruled=ruled)

    async def _explain(self, request: Request) -> Response:
        self.explained.append(dict(request.query_params))
        UserRow.unpack(await request.body())
        reason = Reason(feature="post_rate", value=None, contribution=0.5)
        posts = [
            Explanation(post_id=post, score=1.0, bias=0.25, reasons=[reason], rest=0.25)
            for post in self._posts_of(request.query_params)
        ]
        return Response(Explanations(model=self.name, version="v1", posts=posts).model_dump_json(), self.explain_status)

    def _posts_of(self, params: Mapping[str, str]) -> Iterable[int]:
        if "posts" in params:
            return [int(post) for post in params["posts"].split(",")]
        return range(self.first, self.first + int(params["limit"]))


def _behind_door(routes: list[Route]) -> ASGIApp:
    return InnerDoor(Starlette(routes=routes), "")
