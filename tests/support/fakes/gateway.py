"""A small gateway that speaks the public API's JSON, for tests of what stands before it. Its moods are set per user.

Served by a real server on a free port: `served(FakeGateway())`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import uvicorn
from chassis.connections import BoundedConnection
from chassis.gunicorn import keepalive
from contracts.clock import REAL, Clock
from contracts.experiments import Change, Edit, Experiment, ExperimentPage, Plan, RunningExperiments
from contracts.headers import API_KEY
from contracts.reports import ExperimentLine, LiftPlan, Reach, Report
from contracts.rules import RulesChange, RulesEdit, RuleSet, RulesPage
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.support.fakes.reports import RUNS, STATES

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)
READER, NEWCOMER, STRANGER, CYRILLIC, SHORT, FALLBACK, SLOW, BROKEN, NO_HISTORY, GARBLED, COLD = (
    200, 201, 999_999, 202, 203, 204, 205, 206, 207, 208, 209,
)  # fmt: skip
TOPICS = ("movie", "covid", "business", "sport", "politics", "tech", "entertainment")
OPENINGS = (
    (
        "The director spent four years on this quiet film, and every frame of it shows.",
        "Nobody told me that the sequel is a musical, and I am glad of it.",
        "An old lighthouse, two brothers, one boat: that is the whole plot, and it is plenty.",
    ),
    (
        "Hospitals in the north report fewer new cases for the third week in a row.",
        "Booster appointments open on Monday for everyone above the age of forty.",
        "Schools may stay open this winter if every second classroom gets a filter.",
    ),
    (
        "Shares rose early on Tuesday after the company said that orders had doubled since spring.",
        "The bakery chain will close nine shops and hire forty drivers instead.",
        "Two banks agreed to merge last night, and both chairmen call it a meeting of equals.",
    ),
    (
        "She won the final set without losing a point, then sat down and laughed!",
        "A goal in the last minute sent the youngest team of the league into the cup final.",
        "He ran the marathon in borrowed shoes and still came home third.",
    ),
    (
        "The committee postponed the vote again; nobody in the room seemed surprised.",
        "The mayor promised a bridge in her first year, and a ferry in case that fails.",
        "Ministers met for nine hours to agree on what they will disagree about next week.",
    ),
    (
        "A phone that folds twice sounds like a joke until you hold one for a day.",
        "The new compiler is four times faster, and its error messages read like letters from a friend.",
        "Somebody wrote a web browser in a summer, alone, and it opens most pages.",
    ),
    (
        "Tickets for the summer tour were gone within nine minutes, most of them to bots.",
        "The quiz show returns with its first host, who is now eighty and sharper than ever.",
        "Her third album is short, loud, and made for driving at night.",
    ),
)
MIDDLES = (
    "The second half slows down, as if the story itself wanted to rest.",
    "Doctors ask people to keep their masks at hand and to air the rooms where they meet.",
    "Analysts had expected half of that, and two of them admitted so in public.",
    "Her coach had promised to shave his beard, and keeps his promises.",
    "Critics say that the rule would help those who need it least.",
    "The battery lasts until the evening, which is more than the last one could say.",
    "Fans who came too late can still hear the concert on the radio.",
)
ENDING = (
    "I did not expect to think about it the next morning, yet here I am, writing this on the train. "
    "If you have an hour, make it this one, and tell me what you made of the end."
)
READ_KEY, ADMIN_KEY = "read-key-of-the-console", "admin-key-of-the-platform"
DRAFT = Experiment(name="drafted", plan=Plan())
REACH = Reach(
    metric="hit_rate", rate=0.312, days=9, users=[300, 2_000], smallest_lift=0.068,
    lifts=[LiftPlan(lift=0.01, users=89_274, days=None), LiftPlan(lift=0.2, users=260, days=2)],
)  # fmt: skip
LONG_CITY = "Новоалександровск-на-Большой-Северной-Двине"


GONE_POST = 4_040


def text_of(post_id: int) -> str:
    """30 to 120 words of readable English."""
    topic = post_id % len(TOPICS)
    middle = [MIDDLES[(post_id + 1 + 3 * step) % len(MIDDLES)] for step in range(1 + post_id % 4)]
    return " ".join([OPENINGS[topic][post_id // 7 % 3], MIDDLES[topic], *middle, ENDING])


def post(post_id: int) -> dict[str, object]:
    return {"id": post_id, "text": text_of(post_id), "topic": TOPICS[post_id % len(TOPICS)]}


@dataclass
class FakeGateway:
    """`asked`: every path with its query, in order of arrival."""

    delay_seconds: float = 5.0
    """For user SLOW's previews of test."""
    asked: list[str] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    """By name; an experiment is called like its state."""
    drafts: dict[str, Experiment] = field(default_factory=dict)
    newer: dict[str, ExperimentPage] = field(default_factory=dict)
    """What became of an experiment since its report."""
    edits: list[tuple[str, Edit]] = field(default_factory=list)
    """Every change that was accepted."""
    clock: Clock = REAL
    rule_pages: dict[str, RulesPage] = field(
        default_factory=lambda: {"default": RulesPage(rule_set=RuleSet(), history=[])}
    )
    down: bool = False
    """Whether the experiments cannot be read."""
    previews_now: int = 0
    previews_most: int = 0

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/user/{id:int}", self.user),
                Route("/user/{id:int}/feed", self.feed),
                Route("/post/{id:int}", self.one_post),
                Route("/post/{id:int}/feed", self.readers),
                Route("/{group}/post/{id:int}/similar", self.similar),
                Route("/{group}/post/recommendations/", self.preview),
                Route("/{group}/post/explanations/", self.explanations),
                Route("/running", self.running),
                Route("/rules", self.rules),
                Route("/rules/{name}", self.rules_of, methods=["GET", "PUT"]),
                Route("/experiments", self.experiments),
                Route("/experiments/{name}", self.experiment, methods=["GET", "PUT"]),
                Route("/experiments/{name}/report", self.report),
                Route("/experiments/{name}/reach", self.reach),
                Route("/experiments/{name}/runs", self.runs),
            ]
        )

    async def user(self, request: Request) -> Response:
        user_id = self._heard(request)
        if user_id in (STRANGER, COLD):
            return JSONResponse({"error": "not_found", "message": "no such user"}, 404)
        if user_id == BROKEN:
            return JSONResponse({"error": "unavailable", "message": "down"}, 503)
        city, country = (LONG_CITY, "Россия") if user_id == CYRILLIC else ("Saint Petersburg", "Russia")
        profile = {"user_id": user_id, "age": 34, "gender": 1, "country": country, "city": city}
        return JSONResponse(profile | {"exp_group": 3, "os": "Android", "source": "ads"})

    async def feed(self, request: Request) -> Response:
        user_id = self._heard(request)
        if user_id in (BROKEN, NO_HISTORY):
            return JSONResponse({"error": "unavailable", "message": "down"}, 503)
        if user_id in (STRANGER, COLD, NEWCOMER):
            return JSONResponse([])
        rows = [_row(user_id, place) for place in range(int(request.query_params["limit"]))]
        return JSONResponse(rows)

    async def one_post(self, request: Request) -> Response:
        if (post_id := self._heard(request)) == GONE_POST:
            return _problem(404, "not_found", "there is no such post")
        return JSONResponse(post(post_id))

    async def readers(self, request: Request) -> Response:
        self._heard(request)
        return JSONResponse([_row(READER, place) for place in range(10)])

    async def similar(self, request: Request) -> Response:
        """The test model knows no post from 900 on."""
        post_id = self._heard(request)
        group = request.path_params["group"]
        if group == "test" and post_id >= 900:
            return _problem(404, "not_found", "the model knows no such post")
        ids = _slate(group, int(request.query_params["limit"]), [post_id])
        posts = [{"post_id": each, "likeness": 0.9 - 0.1 * place} for place, each in enumerate(ids)]
        return JSONResponse({"model": group, "version": "2026-03-14.1", "posts": posts})

    async def preview(self, request: Request) -> Response:
        self._heard(request)
        self.previews_now += 1
        self.previews_most = max(self.previews_most, self.previews_now)
        try:
            return await self._preview(request.path_params["group"], int(request.query_params["id"]), request)
        finally:
            self.previews_now -= 1

    async def _preview(self, group: str, user_id: int, request: Request) -> Response:
        await asyncio.sleep(self.delay_seconds if (user_id, group) == (SLOW, "test") else 0.01)
        if user_id == BROKEN and group == "test":
            return JSONResponse({"error": "unavailable", "message": "down"}, 503)
        if user_id == GARBLED and group == "test":
            return JSONResponse({"posts": "none"})
        ids = _slate(group, int(request.query_params["limit"]), _liked(request))
        headers = {"X-Model": f"{group}@2026-03-14.1", "X-Request-ID": "r1"}
        if user_id == SHORT and group == "control":
            ids = ids[:3]
        if user_id == FALLBACK and group == "test":
            headers |= {"X-Model": "popular@hourly", "X-Degraded": "ranker_timeout"}
        if user_id in (STRANGER, COLD):
            headers["X-Cold-Start"] = "1"
        return JSONResponse([post(post_id) for post_id in ids], headers=headers)

    async def explanations(self, request: Request) -> Response:
        """Of all posts but the third, whose reasons are not known; none at all from an older ranker."""
        self._heard(request)
        if int(request.query_params["id"]) in (COLD, BROKEN):
            return _problem(404, "not_found", "no such page")
        liked = _liked(request)
        ids = _slate(request.path_params["group"], int(request.query_params["limit"]), liked)
        return JSONResponse([_explanation(post_id, *liked[:1]) for place, post_id in enumerate(ids) if place != 2])

    async def running(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        experiments = [one.experiment for one in self.reports.values() if one.experiment.state == "running"]
        return Response(RunningExperiments(experiments=experiments, clock=self.clock).model_dump_json())

    async def rules(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        return JSONResponse([each.rule_set.model_dump(mode="json") for each in self.rule_pages.values()])

    async def rules_of(self, request: Request) -> Response:
        name = request.path_params["name"]
        known = self.rule_pages.get(name)
        if request.method == "PUT":
            return await self._change_rules(request, name, known)
        if refused := self._refused(request):
            return refused
        return _problem(404, "not_found", "no such set") if known is None else _json(known.model_dump_json())

    async def _change_rules(self, request: Request, name: str, known: RulesPage | None) -> Response:
        if request.headers.get(API_KEY) != ADMIN_KEY:
            return _problem(401, "unauthorized", "this call needs an admin key")
        edit, before = (
            RulesEdit.model_validate_json(await request.body()),
            known.rule_set if known else RuleSet(name=name),
        )
        if edit.revision != before.revision:
            return _problem(409, "conflict", f"revision: {name} is at revision {before.revision}", "revision")
        if 999 in edit.rules.pins.values():
            return _problem(422, "invalid_parameter", "rules.pins.1: there is no post 999", "rules.pins.1")
        after = RuleSet(name=name, revision=before.revision + 1, rules=edit.rules)
        line = RulesChange(
            at=NOW, by=edit.by, reason=edit.reason, what="all of it", revision=after.revision, rules=edit.rules
        )
        history = [*(known.history if known else []), line]
        self.rule_pages[name] = RulesPage(rule_set=after, history=history)
        return _json(self.rule_pages[name].model_dump_json())

    async def experiments(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        lines = [_line(name, report) for name, report in self.reports.items()]
        drafts = [ExperimentLine(name=name, state=one.state, mode=one.plan.mode, started_at=None, stopped_at=None, verdict=None)
                  for name, one in self.drafts.items()]  # fmt: skip
        return JSONResponse([line.model_dump(mode="json") for line in [*lines, *drafts]])

    async def reach(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        return _json(REACH.model_dump_json())

    async def experiment(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            return await self._change(request, name)
        if refused := self._refused(request):
            return refused
        page = self._page(name)
        return _problem(404, "not_found", "no such experiment") if page is None else _json(page.model_dump_json())

    async def report(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        report = self.reports.get(request.path_params["name"])
        if report is None or request.query_params.get("run", str(report.run)) != str(report.run):
            return _problem(404, "not_found", "no such report")
        return _json(report.model_dump_json())

    async def runs(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        return JSONResponse([line.model_dump(mode="json") for line in RUNS])

    async def _change(self, request: Request, name: str) -> Response:
        if request.headers.get(API_KEY) != ADMIN_KEY:
            return _problem(401, "unauthorized", "this call needs an admin key")
        try:
            edit = Edit.model_validate_json(await request.body())
        except ValidationError as error:
            return _problem(422, "invalid_parameter", "reason: Field required", str(error.errors()[0]["loc"][0]))
        before = self._page(name)
        if before is not None and edit.revision != before.experiment.revision:
            return _problem(409, "conflict", "revision is not the newest")
        if edit.plan is not None and edit.plan.layer == "taken":
            return _problem(422, "invalid_parameter", "layer: overlaps the experiment other", "layer")
        self.edits.append((name, edit))
        after = before.experiment if before else Experiment(name=name, plan=edit.plan or Plan())
        return _json(ExperimentPage(experiment=after, history=[]).model_dump_json())

    def _page(self, name: str) -> ExperimentPage | None:
        if name in self.newer:
            return self.newer[name]
        if name in self.drafts:
            line = Change(at=NOW, by="admin", reason="planned", what="created", revision=1)
            return ExperimentPage(experiment=self.drafts[name], history=[line])
        report = self.reports.get(name)
        return None if report is None else ExperimentPage(experiment=report.experiment, history=report.history)

    def _refused(self, request: Request) -> Response | None:
        self._heard(request)
        if self.down:
            return _problem(503, "unavailable", "Postgres does not answer")
        if request.headers.get(API_KEY) != READ_KEY:
            return _problem(401, "unauthorized", "this call needs an API key")
        return None

    def _heard(self, request: Request) -> int:
        self.asked.append(f"{request.url.path}?{request.url.query}".rstrip("?"))
        return int(request.path_params.get("id", 0))


def _liked(request: Request) -> list[int]:
    return [int(post) for post in request.query_params.get("liked", "").split(",") if post]


def _explanation(post_id: int, like: int | None = None) -> dict[str, object]:
    reasons = [
        {"feature": "user_topic_by_post", "value": -1.9, "contribution": 0.81},
        {"feature": "post_age_days", "value": 2.2, "contribution": -0.32},
        {"feature": "text_taste", "value": 0.4, "contribution": 0.11},
        {"feature": "age", "value": 34.0, "contribution": 0.02},
    ]
    return {"post_id": post_id, "score": -1.2, "bias": -2.1, "reasons": reasons, "like": like}


def _line(name: str, report: Report) -> ExperimentLine:
    experiment, decision = report.experiment, report.experiment.decision
    is_read = report.verdict.kind not in ("too_early", "split_failed")
    return ExperimentLine(
        name=name,
        state=experiment.state,
        mode=experiment.plan.mode,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        verdict=report.verdict.kind,
        decision=decision.outcome if decision else None,
        days=report.days,
        users=sum(group.assigned for group in report.groups),
        lift=report.metrics[0].always_valid if is_read else None,
    )


def _json(body: str) -> Response:
    return Response(body, media_type="application/json")


def _problem(status: int, error: str, message: str, field: str | None = None) -> Response:
    return JSONResponse({"error": error, "message": message, "field": field}, status)


def _slate(group: str, k: int, liked: Sequence[int] = ()) -> list[int]:
    """Three of the first five in both, in another order; without what was liked on the page."""
    control = [812, 47, 366, 505, 918, 61, 72, 83, 94, 106]
    test = [505, 133, 812, 47, 240, 311, 322, 83, 344, 355]
    return [post for post in (control if group == "control" else test) if post not in liked][:k]


def _row(user_id: int, place: int) -> dict[str, object]:
    """Newest first; every eighth row is a like."""
    like = place % 8 == 2
    at = NOW - timedelta(hours=9 * place, minutes=11)
    post_id = 1 + (user_id * 31 + place * 17) % 900
    target = None if like else 0
    action = "like" if like else "view"
    return {"timestamp": at.isoformat(), "user_id": user_id, "post_id": post_id, "action": action, "target": target}


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The app's address, served from a thread of its own."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        http=BoundedConnection,
        log_config=None,
        log_level="error",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=keepalive,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            _wait_until_started(server)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _wait_until_started(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + 10
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError("the server did not start within 10 s")
        time.sleep(0.01)


def with_every_state() -> FakeGateway:
    return FakeGateway(delay_seconds=0.8, reports=dict(STATES), drafts={"drafted": DRAFT})
