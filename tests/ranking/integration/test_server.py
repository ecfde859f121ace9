"""The ranker server: not ready before it can answer as trained, and swapped between two requests."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from contracts.catalogue import Catalogue
from contracts.records import pack_row
from contracts.rules import SlateRules
from contracts.wire import Post, PostIds, Posts, Ranking
from ranking.artefact import Manifest, ModelStore
from ranking.scorer import LoadEncoder
from ranking.server import create_ranker
from ranking.settings import RankerSettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.data.toy_model import NOW, LengthEncoder, publish_toy, toy_artefact, toy_catalogue, toy_row
from tests.support.fakes.gateway import served

BYTES = {"Content-Type": "application/octet-stream"}


@dataclass
class CatalogueService:
    """The part of feature-service that a ranker asks."""

    catalogue: Catalogue
    texts_fail: bool = False

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/catalogue", self._catalogue), Route("/posts", self._posts, methods=["POST"])])

    async def _catalogue(self, request: Request) -> Response:
        tag = f'"{self.catalogue.version}"'
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304)
        return Response(self.catalogue.pack(), headers={"ETag": tag})

    async def _posts(self, request: Request) -> Response:
        if self.texts_fail:
            return Response(status_code=503)
        ids = PostIds.model_validate_json(await request.body()).ids
        return Response(Posts(posts=[Post(id=post, text="new text", topic="movie") for post in ids]).model_dump_json())


@dataclass
class Stage:
    service: CatalogueService
    models: Path
    work: Path
    http: httpx.Client

    def publish(self, version: str, seed: int = 0) -> None:
        publish_toy(self.models, self.work, self.service.catalogue, name="toy", version=version, seed=seed)

    def rank(self, body: bytes | None = None, **params: int) -> httpx.Response:
        row = toy_row(1, self.service.catalogue) if body is None else body
        return self.http.post("/rank", content=row, params={"time": NOW, **params})

    def ready_reason(self) -> str:
        answer = self.http.get("/readyz")
        return "" if answer.status_code == 200 else str(answer.json()["reasons"]["model"])

    def warning(self) -> str:
        answer = self.http.get("/readyz").json()
        return str(answer.get("warnings", {}).get("model", ""))

    def failed_swaps(self) -> float:
        """Since this process began, other tests included."""
        (line,) = re.findall(r"^ranker_failed_swaps_total (.+)$", self.http.get("/metrics").text, re.MULTILINE)
        return float(line)

    def add_post(self, post: int) -> None:
        old = self.service.catalogue
        self.service.catalogue = Catalogue(
            version=old.version + 1,
            counted_until=old.counted_until,
            topics=old.topics,
            post_id=np.append(old.post_id, post),
            topic=np.append(old.topic, 1).astype(np.int16),
            first_view_at=np.append(old.first_view_at, 0),
            segment_views=np.vstack([old.segment_views, np.zeros_like(old.segment_views[:1])]),
            segment_likes=np.vstack([old.segment_likes, np.zeros_like(old.segment_likes[:1])]),
        )

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, self.ready_reason()
            time.sleep(0.05)


@contextmanager
def _stage(folder: Path, load_encoder: LoadEncoder = LengthEncoder.load, trial_seconds: float = 0) -> Iterator[Stage]:
    service = CatalogueService(toy_catalogue(300))
    with served(service.app()) as features:
        settings = RankerSettings(
            model_uri=str(folder / "models"),
            features_url=features,
            cache_dir=folder,
            trial_seconds=trial_seconds,
            poll_seconds=0.1,
            catalogue_poll_seconds=0.1,
        )
        with (
            served(create_ranker("toy", load_encoder, settings)) as url,
            httpx.Client(base_url=url, timeout=20, headers=BYTES) as http,
        ):
            yield Stage(service, folder / "models", folder, http)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Without trials, which take a second each."""
    with _stage(tmp_path) as running:
        yield running


@dataclass(frozen=True)
class CrashingEncoder(LengthEncoder):
    """A file of it may hold what ends the process that opens it."""

    @classmethod
    def load(cls, folder: Path) -> LengthEncoder:
        if (folder / "encoder.txt").read_text() == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return LengthEncoder.load(folder)


def test_a_version_that_crashes_what_opens_it_keeps_the_old_one_serving(tmp_path: Path) -> None:
    with _stage(tmp_path, CrashingEncoder.load, trial_seconds=60) as stage:
        stage.publish("1")
        stage.until(lambda: stage.ready_reason() == "")
        manifest = toy_artefact(stage.work / "crash", stage.service.catalogue, name="toy", version="2")
        (stage.work / "crash/encoder.txt").write_text("crash")
        store, before = ModelStore(str(stage.models)), stage.failed_swaps()
        store.put(stage.work / "crash", manifest)
        store.publish("toy", "2")
        stage.until(lambda: "toy@2: opening it crashed a process (SIGSEGV)" in stage.warning())
        assert stage.failed_swaps() == before + 1
        assert stage.rank().json()["version"] == "1"
        store.roll_back("toy")
        stage.until(lambda: stage.warning() == "")


def test_without_a_model_it_is_not_ready_and_says_what_to_run(stage: Stage) -> None:
    stage.until(lambda: "lenta train toy" in stage.ready_reason())
    assert stage.rank().status_code == 503
    assert stage.http.get("/livez").status_code == 200


def test_a_published_model_ranks_the_live_catalogue(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    answer = stage.rank(limit=7).json()
    assert (answer["model"], answer["version"], len(answer["posts"])) == ("toy", "1", 7)
    assert stage.http.get("/model").json()["version"] == "1"
    assert 'ranker_model_info{model="toy",version="1"} 1.0' in stage.http.get("/metrics").text


def test_a_new_version_and_a_rollback_swap_without_a_failed_request(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    stop, statuses = threading.Event(), set[int]()

    def ask_on() -> None:
        while not stop.is_set():
            statuses.add(stage.rank().status_code)

    asking = threading.Thread(target=ask_on)
    asking.start()
    stage.publish("2", seed=5)
    stage.until(lambda: bool(stage.rank().json()["version"] == "2"))
    ModelStore(str(stage.models)).roll_back("toy")
    stage.until(lambda: bool(stage.rank().json()["version"] == "1"))
    stop.set()
    asking.join()
    assert statuses == {200}


def test_a_broken_version_keeps_the_old_one_serving_and_is_counted(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    toy_artefact(stage.work / "broken", stage.service.catalogue, name="toy", version="2")
    manifest = Manifest.model_validate_json((stage.work / "broken/manifest.json").read_bytes())
    store = ModelStore(str(stage.models))
    store.put(stage.work / "broken", manifest.model_copy(update={"schema_id": "feedfacefeedface"}))
    before = stage.failed_swaps()
    store.publish("toy", "2")
    stage.until(lambda: "model toy@2 needs feature schema feedfacefeedface" in stage.warning())
    assert stage.failed_swaps() > before
    assert stage.rank().json()["version"] == "1"
    assert stage.ready_reason() == ""


def test_a_model_of_another_schema_alone_is_not_ready_and_named(stage: Stage) -> None:
    toy_artefact(stage.work / "broken", stage.service.catalogue, name="toy", version="2")
    manifest = Manifest.model_validate_json((stage.work / "broken/manifest.json").read_bytes())
    store = ModelStore(str(stage.models))
    store.put(stage.work / "broken", manifest.model_copy(update={"schema_id": "feedfacefeedface"}))
    store.publish("toy", "2")
    stage.until(lambda: "needs feature schema feedfacefeedface" in stage.ready_reason())


def test_a_model_whose_files_do_not_fit_this_build_is_named_and_the_next_one_serves(stage: Stage) -> None:
    manifest = toy_artefact(stage.work / "other", stage.service.catalogue, name="toy", version="1")
    (stage.work / "other/posts.npz").write_bytes(b"")
    store = ModelStore(str(stage.models))
    store.put(stage.work / "other", manifest)
    store.publish("toy", "1")
    stage.until(lambda: "toy@1" in stage.ready_reason())
    stage.publish("2")
    stage.until(lambda: stage.ready_reason() == "")


def test_a_new_post_is_seen_by_its_text_and_ranked(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    hidden = stage.service.catalogue.post_id.astype("<u4").tobytes()
    stage.add_post(9_999)
    stage.until(lambda: bool(stage.rank(pack_row(b"", b"", hidden)).json()["posts"] == [9_999]))


def test_a_swap_that_new_posts_texts_held_up_is_made_good_without_a_further_change(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    stage.service.texts_fail = True
    stage.add_post(9_999)
    stage.until(lambda: "answered /posts with 503" in stage.warning())
    stage.publish("2", seed=5)
    assert stage.rank().status_code == 200
    stage.service.texts_fail = False
    stage.until(lambda: bool(stage.rank().json()["version"] == "2"))
    stage.until(lambda: stage.warning() == "")


def test_it_says_why_its_best_posts_stand_where_they_do(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row = toy_row(1, stage.service.catalogue)
    ranked = stage.rank(limit=7).json()
    said = stage.http.post("/explain", content=row, params={"time": NOW, "limit": 7}).json()
    assert (said["model"], said["version"]) == ("toy", "1")
    assert [post["post_id"] for post in said["posts"]] == ranked["posts"]
    assert [post["score"] for post in said["posts"]] == ranked["scores"]
    for post in said["posts"]:
        reasons = sum(reason["contribution"] for reason in post["reasons"])
        assert post["bias"] + reasons + post["rest"] == pytest.approx(post["score"], abs=1e-6)
    assert stage.http.post("/explain", content=row, params={"limit": 21}).json()["field"] == "limit"
    assert stage.http.post("/explain", content=b"x").json()["field"] == "body"


def test_rules_come_behind_the_row_and_their_pool_goes_back_with_what_the_gateway_needs(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row, catalogue = toy_row(1, stage.service.catalogue), stage.service.catalogue
    own = stage.rank(row).json()["posts"]
    rules, shown = SlateRules(blocked_posts=own[:1]).packed, np.array(own[1:2], "<u4").tobytes()
    answer = Ranking.model_validate_json(stage.rank(row + rules + shown, rules=len(rules), shown=len(shown)).content)
    assert answer.ruled is not None
    assert answer.ruled.kept_out == {own[0]: "blocked", own[1]: "shown"}
    assert not set(own[:2]) & set(answer.posts)
    places = catalogue.index_of(np.array(answer.posts))
    assert answer.ruled.topics == catalogue.topics[catalogue.topic[places]].tolist()


@pytest.mark.parametrize(
    ("rules", "said", "field"),
    [
        (b'{"most_per_topic":0}', None, "most_per_topic"),
        (b"no json", None, "rules"),
        (b"{}", 100_000, "body"),
    ],
)
def test_rules_that_are_none_are_refused(stage: Stage, rules: bytes, said: int | None, field: str) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row = toy_row(1, stage.service.catalogue)
    answer = stage.rank(row + rules, rules=len(rules) if said is None else said)
    assert answer.status_code == 422
    assert field in answer.json()["field"]


def test_reasons_can_be_asked_of_posts_that_are_not_the_best(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row, posts = toy_row(1, stage.service.catalogue), stage.service.catalogue.post_id[[7, 3]].tolist()
    params = {"time": str(NOW), "posts": ",".join(map(str, posts))}
    answer = stage.http.post("/explain", content=row, params=params)
    assert [post["post_id"] for post in answer.json()["posts"]] == posts
    assert stage.http.post("/explain", content=row, params={"posts": "1,x"}).json()["field"] == "posts"


def test_a_preview_is_ranked_as_if_posts_had_been_liked(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row = toy_row(1, stage.service.catalogue)
    first = stage.rank(row).json()["posts"]
    params = {"time": str(NOW), "liked": f"{first[0]},{first[2]}"}
    after = stage.http.post("/rank", content=row, params=params).json()["posts"]
    assert not {first[0], first[2]} & set(after)
    assert stage.rank(row).json()["posts"] == first
    explained = stage.http.post("/explain", content=row, params=params).json()["posts"]
    assert [post["post_id"] for post in explained] == after
    assert stage.http.post("/rank", content=row, params={"liked": "1;2"}).json()["field"] == "liked"


def test_many_explanations_at_once_are_shed_and_rankings_go_on(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    row = toy_row(1, stage.service.catalogue)
    with ThreadPoolExecutor(16) as pool:
        asked = [
            pool.submit(stage.http.post, "/explain", content=row, params={"time": NOW, "limit": 20}) for _ in range(48)
        ]
        ranked = [stage.rank().status_code for _ in range(20)]
    statuses = {outcome.result().status_code for outcome in asked}
    assert set(ranked) == {200}
    assert 200 in statuses <= {200, 503}


def test_without_feature_service_it_is_not_ready_and_names_where_it_looked(tmp_path: Path) -> None:
    publish_toy(tmp_path / "models", tmp_path, toy_catalogue(80), name="toy", version="1")
    settings = RankerSettings(
        model_uri=str(tmp_path / "models"),
        features_url="http://127.0.0.1:9",
        cache_dir=tmp_path,
        trial_seconds=0,
        poll_seconds=0.1,
    )
    with (
        served(create_ranker("toy", LengthEncoder.load, settings)) as url,
        httpx.Client(base_url=url, timeout=20, headers=BYTES) as http,
    ):
        alone = Stage(CatalogueService(toy_catalogue(80)), tmp_path / "models", tmp_path, http)
        alone.until(lambda: "feature-service at http://127.0.0.1:9 cannot be reached" in alone.ready_reason())


@pytest.mark.parametrize("body", [b"", b"x", b"\x05\x00\x00\x00\x00\x00\x00\x00"])
def test_bytes_that_are_no_row_are_refused(stage: Stage, body: bytes) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    answer = stage.rank(body)
    assert (answer.status_code, answer.json()["field"]) == (422, "body")


def test_a_deadline_that_has_passed_is_not_worked_for(stage: Stage) -> None:
    stage.publish("1")
    stage.until(lambda: stage.ready_reason() == "")
    answer = stage.http.post("/rank", content=toy_row(1, stage.service.catalogue), headers={"X-Deadline": "1000"})
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers


def test_a_limit_out_of_bounds_is_named(stage: Stage) -> None:
    assert stage.rank(limit=0).json()["field"] == "limit"
