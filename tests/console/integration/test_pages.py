"""The console before a small real gateway: every state of the demo page, as HTML and as JSON."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx
import pytest
from chassis.settings import SettingsError
from console.app import create
from console.frame import STATIC, static_path
from console.settings import ConsoleSettings
from console.state import get_now
from contracts.wire import Problem

from tests.support.fakes.gateway import (
    BROKEN,
    COLD,
    CYRILLIC,
    FALLBACK,
    GARBLED,
    LONG_CITY,
    NEWCOMER,
    NO_HISTORY,
    NOW,
    READ_KEY,
    READER,
    SHORT,
    SLOW,
    STRANGER,
    FakeGateway,
    served,
    with_every_state,
)
from tests.support.fakes.reports import STATES

KIB = 1024
PREVIEW_SECONDS = 0.4


@pytest.fixture(scope="module")
def gateway() -> FakeGateway:
    return with_every_state()


@pytest.fixture(scope="module")
def console(gateway: FakeGateway) -> Iterator[httpx.Client]:
    with served(gateway.app()) as url:
        settings = ConsoleSettings(gateway_url=url, api_key=READ_KEY, preview_timeout_seconds=PREVIEW_SECONDS)
        app = create(settings)
        app.dependency_overrides[get_now] = lambda: NOW
        with served(app) as address, httpx.Client(base_url=address) as client:
            yield client


@pytest.fixture(scope="module")
def cut_off() -> Iterator[httpx.Client]:
    """A console whose gateway is gone."""
    with served(FakeGateway().app()) as url:
        settings = ConsoleSettings(gateway_url=url)
    with served(create(settings)) as address, httpx.Client(base_url=address) as client:
        yield client


def words_of(html: str) -> str:
    body = html.split("<main", 1)[1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def page(console: httpx.Client, user: int, k: int = 5) -> str:
    answer = console.get(f"/console/demo?user={user}&k={k}")
    assert answer.status_code == 200
    return words_of(answer.text)


def test_the_root_leads_to_the_demo(console: httpx.Client) -> None:
    assert console.get("/").headers["location"] == "/console/demo"


def test_without_a_user_the_page_asks_for_one(console: httpx.Client) -> None:
    answer = console.get("/console/demo")
    assert "Choose a user to begin." in words_of(answer.text)
    assert 'href="/console/demo?user=200&amp;k=5"' in answer.text


def test_both_feeds_stand_side_by_side(console: httpx.Client) -> None:
    said = page(console, READER)
    for words in ("34 years old, Saint Petersburg, Russia", "13 likes, 87 views", "3 of 5 posts in both"):
        assert words in said
    for words in ("test: 3", "not in test’s top 5", "control: 4", "not in control’s top 5", "yesterday 15:30 UTC"):
        assert words in said


def test_page_and_json_say_the_same(console: httpx.Client) -> None:
    said = page(console, READER, 7)
    demo = console.get(f"/console/demo.json?user={READER}&k=7").json()
    assert demo["as_of"] == "2026-03-14T09:41:00Z"
    texts = [demo["person"]["headline"], demo["agreement"]["text"], *(one["lede"] for one in demo["likes"]["posts"])]
    for column in demo["columns"]:
        assert len(column["cards"]) == 7
        texts += [text for card in column["cards"] for text in (card["lede"], card["rest"], card["standing"])]
    assert [text for text in texts if text not in said] == []


def test_posts_keep_the_order_of_the_ranker(console: httpx.Client) -> None:
    columns = console.get(f"/console/demo.json?user={READER}").json()["columns"]
    assert [[card["post"]["id"] for card in column["cards"]] for column in columns] == [
        [812, 47, 366, 505, 918],
        [505, 133, 812, 47, 240],
    ]


def test_every_post_says_why_the_model_chose_it(console: httpx.Client) -> None:
    said = page(console, READER)
    assert said.count("raised by: the user’s liking of the topic and the post’s own success") == 8
    assert said.count("lowered by: the post’s age: 2 days") == 8
    assert said.count("No reason given") == 2
    (first, *_) = console.get(f"/console/demo.json?user={READER}").json()["columns"][0]["cards"]
    assert [one["raises"] for one in first["reasons"]] == [True, False, True]


def test_a_ranker_without_explanations_gives_no_reason(console: httpx.Client) -> None:
    assert page(console, COLD).count("No reason given") == 10


def test_a_fallbacks_posts_have_no_reasons_of_the_model(console: httpx.Client) -> None:
    columns = console.get(f"/console/demo.json?user={FALLBACK}").json()["columns"]
    assert all(card["no_reason"] == "No reason given" for card in columns[1]["cards"])
    assert columns[0]["cards"][0]["reasons"]


def test_the_live_split_of_the_user_is_said(console: httpx.Client) -> None:
    group = STATES["ship"].experiment.assign(READER, NOW).group
    assert f"Live split would give this user: {group} (experiment ship)" in page(console, READER)


def test_without_a_key_the_demo_is_whole_but_for_the_live_split(gateway: FakeGateway) -> None:
    with served(gateway.app()) as url, served(create(ConsoleSettings(gateway_url=url))) as address:
        said = words_of(httpx.get(f"{address}/console/demo?user={READER}").text)
    assert "3 of 5 posts in both" in said
    assert "Live split" not in said


def test_an_unknown_user_gets_a_cold_start_in_words(console: httpx.Client) -> None:
    said = page(console, STRANGER)
    assert "Nobody here has the id 999999." in said
    assert said.count("Cold start: ranked without a profile or a history.") == 2
    assert "No likes yet." in said


def test_a_user_without_likes_reads_so(console: httpx.Client) -> None:
    assert "No likes yet." in page(console, NEWCOMER)


def test_a_slow_ranker_is_named_and_the_other_shown(console: httpx.Client) -> None:
    said = page(console, SLOW)
    assert "test did not answer in 400 ms. There are no posts to show." in said
    assert "posts in both" not in said
    assert "An old lighthouse" in said


def test_a_fallback_is_named(console: httpx.Client) -> None:
    said = page(console, FALLBACK)
    assert "test did not answer (ranker timeout). Showing popular posts, as the live feed would." in said
    assert "posts in both" not in said


def test_fewer_posts_than_asked_are_explained(console: httpx.Client) -> None:
    assert "control has only 3 of 5 posts left for this user" in page(console, SHORT)


def test_what_cannot_be_read_is_said_in_its_place(console: httpx.Client) -> None:
    said = page(console, BROKEN)
    assert "The profile cannot be read: the gateway answered 503." in said
    assert "The history cannot be read: the gateway answered 503. The feeds are not affected." in said
    assert "test answered 503. There are no posts to show." in said
    assert "An old lighthouse" in said


def test_a_history_out_of_reach_leaves_the_profile(console: httpx.Client) -> None:
    said = page(console, NO_HISTORY)
    assert "34 years old" in said
    assert "The history cannot be read" in said


def test_an_answer_against_the_contract_is_not_shown(console: httpx.Client) -> None:
    assert "test gave an answer that the console cannot read." in page(console, GARBLED)


def test_a_gateway_that_is_gone_is_one_calm_sentence(cut_off: httpx.Client) -> None:
    answer = cut_off.get(f"/console/demo?user={READER}")
    assert answer.status_code == 503
    assert "The console cannot read its data. Feeds are not affected." in words_of(answer.text)
    assert cut_off.get(f"/console/demo.json?user={READER}").json()["problem"].startswith("The console cannot")
    assert cut_off.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("query", "field", "given"),
    [("user=abc", "user", "abc"), ("user=200&k=11", "k", "11"), ("user=%3Cscript%3E", "user", "<script>")],
)
def test_a_bad_query_gets_a_page_that_names_the_field(
    console: httpx.Client, query: str, field: str, given: str
) -> None:
    answer = console.get(f"/console/demo?{query}")
    assert answer.status_code == 422
    assert f"{field} must be a whole number from" in words_of(answer.text)
    assert f"You gave “{given}”." in words_of(answer.text)
    assert 'aria-invalid="true"' in answer.text
    assert "<script>" not in answer.text


def test_a_bad_query_for_json_gets_the_one_error_shape(console: httpx.Client) -> None:
    answer = console.get("/console/demo.json?user=abc")
    assert answer.status_code == 422
    assert Problem.model_validate_json(answer.content).field == "user"


def test_an_absent_page_is_a_page(console: httpx.Client) -> None:
    answer = console.get("/console/nothing")
    assert answer.status_code == 404
    assert "There is no page here" in words_of(answer.text)


def test_only_public_previews_are_asked_and_never_the_live_call(console: httpx.Client, gateway: FakeGateway) -> None:
    gateway.asked.clear()
    page(console, COLD, 4)
    assert sorted(path for path in gateway.asked if path != "/running") == [
        f"/control/post/explanations/?id={COLD}&limit=4",
        f"/control/post/recommendations/?id={COLD}&limit=4",
        f"/test/post/explanations/?id={COLD}&limit=4",
        f"/test/post/recommendations/?id={COLD}&limit=4",
        f"/user/{COLD}",
        f"/user/{COLD}/feed?limit=100",
    ]


def test_at_most_two_previews_run_at_once(console: httpx.Client, gateway: FakeGateway) -> None:
    while gateway.previews_now:  # an abandoned preview of another test still sleeps in the fake
        time.sleep(0.02)
    gateway.previews_most = 0
    with ThreadPoolExecutor(6) as pool:
        pages = list(pool.map(lambda _: page(console, READER), range(6)))
    assert all("3 of 5 posts in both" in said for said in pages)
    assert gateway.previews_most == 2


def test_the_theme_is_in_the_first_byte(console: httpx.Client) -> None:
    for theme in ("light", "dark"):
        html = console.get("/console/demo", headers={"Cookie": f"lenta_theme={theme}"}).text
        assert f'<html lang="en" data-theme="{theme}">' in html
        assert f'<meta name="color-scheme" content="{theme}">' in html
    assert "data-theme" not in console.get("/console/demo", headers={"Cookie": "lenta_theme=pink"}).text


@pytest.mark.parametrize(
    ("back", "to"),
    [
        ("/console/demo?user=7&k=3", "/console/demo?user=7&k=3"),
        ("https://elsewhere.example/", "/console/demo"),
        ("//elsewhere.example", "/console/demo"),
        ("/console/\\elsewhere.example", "/console/demo"),
    ],
)
def test_the_theme_changes_without_scripts_and_leads_back_here_only(console: httpx.Client, back: str, to: str) -> None:
    answer = console.post("/console/theme", data={"theme": "dark", "back": back})
    console.cookies.clear()
    assert answer.status_code == 303
    assert answer.headers["location"] == to
    assert "lenta_theme=dark" in answer.headers["set-cookie"]
    assert "Path=/console" in answer.headers["set-cookie"]


def test_pages_load_from_this_origin_alone(console: httpx.Client) -> None:
    answer = console.get(f"/console/demo?user={READER}")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert answer.headers["cache-control"] == "no-store"
    assert re.findall(r"\sstyle=|\son\w+=|<style|<script(?! src=)", answer.text) == []


def test_static_files_may_be_kept_for_good(console: httpx.Client) -> None:
    answer = console.get(f"{static_path()}/console.css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert console.get("/console/static/0123/console.css").status_code == 404


def test_the_page_stays_within_its_budget(console: httpx.Client) -> None:
    html = max((console.get(f"/console/demo?user={user}&k=10").content for user in (READER, CYRILLIC)), key=len)
    assert len(gzip.compress(html)) <= 15 * KIB
    assert len(gzip.compress((STATIC / "console.css").read_bytes())) <= 8 * KIB
    assert len(gzip.compress((STATIC / "console.js").read_bytes())) <= 6 * KIB
    assert sum(font.stat().st_size for font in STATIC.glob("fonts/*.woff2")) <= 67 * KIB
    assert "SIL Open Font License" in (STATIC / "fonts" / "LICENSE.txt").read_text()


def test_answers_are_compressed(console: httpx.Client) -> None:
    assert console.get("/console/demo", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


def test_long_names_in_cyrillic_are_shown_whole(console: httpx.Client) -> None:
    assert f"{LONG_CITY}, Россия" in page(console, CYRILLIC)


def test_health_and_metrics_answer(console: httpx.Client) -> None:
    assert console.get("/livez").json() == {"status": "live"}
    assert console.get("/readyz").status_code == 200
    assert "http_request_duration_seconds_bucket" in console.get("/metrics").text


def test_example_users_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_GATEWAY_URL", "http://gateway:8000")
    monkeypatch.setenv("CONSOLE_EXAMPLE_USERS", "7, 8,")
    assert ConsoleSettings.read().example_users == (7, 8)


def test_a_console_without_gateway_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSOLE_GATEWAY_URL", raising=False)
    with pytest.raises(SettingsError, match="CONSOLE_GATEWAY_URL"):
        ConsoleSettings.read()


def test_pages_can_be_put_behind_a_key() -> None:
    with served(create(ConsoleSettings(gateway_url="http://127.0.0.1:9", reading_keys="one,two"))) as at:
        for path in ("/console/demo", "/console/experiments/models.json", "/console/static/none", "/openapi.json"):
            answer = httpx.get(f"{at}{path}")
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        for given in (("", "one"), ("anybody", "two")):
            assert httpx.get(f"{at}/console/demo", auth=given).status_code == 200
        for odd in ("Basic", "Basic !", "Basic /w==", "Bearer one", "Basic b25l"):
            assert httpx.get(f"{at}/console/demo", headers={"Authorization": odd}).status_code == 401, odd
        assert httpx.get(f"{at}/readyz").status_code == 200
