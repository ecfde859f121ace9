"""The Python of docs/app.md and of the client's README runs as it stands, against a real gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.checkout import ROOT
from tests.support.docs import fences
from tests.support.fakes.gateway import served
from tests.support.platforms.gateway_stage import KEY, Stage, gateway_stage, until

README = ROOT / "clients/python/README.md"
USER = 900_001
SECRET = "secret" * 8


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with gateway_stage(token_secrets=SECRET) as stage:
        monkeypatch.setenv("LENTA_GATEWAY_URL", str(stage.http.base_url))
        monkeypatch.setenv("LENTA_API_KEY", KEY)
        yield stage


def _snippets(page: Path) -> list[str]:
    return [text for language, text in fences(page) if language == "python"]


def _run(text: str, names: dict[str, Any]) -> None:
    exec(compile(text, "snippet", "exec", dont_inherit=True), names)


def _events(stage: Stage) -> list[dict[str, Any]]:
    return [event for body in list(stage.features.seen) for event in json.loads(body).get("events", [])]


def test_a_backend_asks_sends_and_is_told_of_a_wrong_field(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    backend, later, *_ = _snippets(ROOT / "docs/app.md")
    names: dict[str, Any] = {}
    _run(backend, names)
    _run(later, names)
    posts = [post.id for post in names["answer"].posts]
    assert [(event["action"], event["post_id"]) for event in _events(stage)] == [
        *(("view", post) for post in posts),
        ("like", posts[0]),
    ]
    assert {event["request_id"] for event in _events(stage)} == {names["answer"].request_id}
    said = capsys.readouterr().out.splitlines()[-1]
    assert f"{said}\n" == later.partition("# ")[2]


def test_an_async_backend_serves_a_feed_and_passes_likes_on(stage: Stage) -> None:
    names: dict[str, Any] = {}
    _run(_snippets(ROOT / "docs/app.md")[2], names)
    with served(names["app"]) as url, httpx.Client(base_url=url) as http:
        feed = http.get("/feed").raise_for_status().json()
        post = feed["posts"][0]["id"]
        http.post(f"/feed/{feed['request_id']}/liked/{post}").raise_for_status()
        until(lambda: bool(_events(stage)), 5)
    (like,) = _events(stage)
    assert (like["user_id"], like["post_id"], like["request_id"]) == (USER, post, feed["request_id"])


def test_the_token_that_a_backend_signs_opens_its_users_page_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENTA_TOKEN_SECRET", SECRET)
    names: dict[str, Any] = {}
    _run(_snippets(ROOT / "docs/app.md")[3], names)
    headers = {"Authorization": f"Bearer {names['token_of'](USER)}"}
    for user, status in ((USER, 200), (USER + 1, 403)):
        assert stage.http.get("/v1/post/recommendations", params={"id": user}, headers=headers).status_code == status


def test_the_readme_of_the_client_runs(stage: Stage) -> None:
    (snippet,) = _snippets(README)
    _run(snippet.replace("http://127.0.0.1:8000", str(stage.http.base_url)).replace("the key", KEY), {})
    assert [event["action"] for event in _events(stage)] == ["view"] * 5 + ["like"]
