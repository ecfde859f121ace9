"""A webhook hears of changes once they are, in order, signed, and again until it takes them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from contracts.experiments import Pause
from contracts.reports import Comparison, Report, Verdict, VerdictKind
from feature_service.experiments.definitions import experiment, record
from feature_service.experiments.lifecycle import put_on_pause
from feature_service.reports import webhook
from feature_service.reports.runs import store
from feature_service.reports.webhook import Webhook
from feature_service.settings import Settings
from pydantic import ValidationError

from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform

SECRET = "sixteen characters"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Receiver:
    url: str = ""
    status: int = 204
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.calls.append((dict(self.headers), body))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/lenta"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _analysed(platform: FeaturePlatform, kind: VerdictKind, other: VerdictKind | None = None) -> None:
    """other: the verdict on another group beside test."""
    report = Report.model_validate_json(platform.http.get("/experiments/models/report").content)
    verdict = Verdict(kind=kind, reasons=["a test"])
    beside = Comparison(
        group="challenger", metrics=[], per_protocol=[], guardrails=[], verdict=Verdict(kind=other or kind, reasons=[])
    )
    update = {"verdict": verdict, "at": NOW, "others": [beside] if other else []}
    store(platform.engine, report.model_copy(update=update), final=False)


def _paused(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        now = datetime.now(UTC)
        pause = Pause(why="unreachable", until=now + timedelta(minutes=1))
        new = put_on_pause(experiment(connection, "models"), now, pause, "nobody there")
        record(connection, new, now, by="guardrail", reason="nobody there", what="paused for 1 minutes")


def test_what_changes_is_told_once_in_order_and_signed(platform: FeaturePlatform) -> None:
    with receiving() as receiver:
        hook = Webhook(platform.engine, platform.client, receiver.url, SECRET)
        _analysed(platform, "too_early")
        assert hook.round() == [], "what was before it is no news"
        for kind in ("too_early", "hold", "hold"):
            _analysed(platform, kind)
        platform.http.put("/experiments/models", json={"plan": {"enrolment": 1.0}, "reason": "by hand"})
        _paused(platform)
        assert len(hook.round()) == 2
        assert hook.round() == []
    (_, first), (headers, second) = receiver.calls
    assert json.loads(first)["change"] == "paused for 1 minutes"
    told = json.loads(second)
    assert (told["experiment"], told["before"], told["verdict"]["kind"]) == ("models", "too_early", "hold")
    assert set(told["guardrails"]) == {"slow_share", "error_share", "fallback_share"}
    signed = hmac.new(SECRET.encode(), headers["X-Lenta-Timestamp"].encode() + b"." + second, hashlib.sha256)
    assert headers["X-Lenta-Signature"] == f"sha256={signed.hexdigest()}"


def test_harm_of_a_group_that_does_not_decide_is_told_too(platform: FeaturePlatform) -> None:
    hook = Webhook(platform.engine, platform.client)
    _analysed(platform, "hold", "hold")
    assert hook.round() == []
    for other in ("hold", "roll_back", "roll_back"):
        _analysed(platform, "hold", other)
    (told,) = hook.round()
    assert (told.before, told.groups) == ("hold", {"test": "hold", "challenger": "roll_back"})


def test_a_receiver_that_fails_hears_it_again_and_misses_nothing(
    platform: FeaturePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "FIRST_PAUSE_SECONDS", 0.0)
    with receiving() as receiver:
        hook = Webhook(platform.engine, platform.client, receiver.url, SECRET)
        assert hook.round() == []
        _analysed(platform, "hold")
        _analysed(platform, "ship")
        receiver.status = 503
        assert hook.round() == hook.round() == []
        receiver.status = 200
        again = Webhook(platform.engine, platform.client, receiver.url, SECRET)
        assert [notice.verdict.kind for notice in again.round() if notice.verdict] == ["hold", "ship"]
    keys = [json.loads(body)["key"] for _, body in receiver.calls]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_a_receiver_that_is_gone_is_left_alone_for_a_while(platform: FeaturePlatform) -> None:
    with receiving() as receiver:
        hook = Webhook(platform.engine, platform.client, receiver.url, SECRET)
        hook.round()
    _analysed(platform, "hold")
    assert hook.round() == []
    with receiving() as receiver:
        assert hook.round() == [], "it waits a second"
        assert receiver.calls == []


def test_a_webhook_without_a_secret_is_refused(platform: FeaturePlatform) -> None:
    urls = {"postgres_url": platform.postgres_url, "redis_url": platform.redis_url}
    with pytest.raises(ValidationError, match="FEATURES_WEBHOOK_SECRET"):
        Settings.model_validate({**urls, "webhook_url": "https://chat.example/lenta", "webhook_secret": "short"})
