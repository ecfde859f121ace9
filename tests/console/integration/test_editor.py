"""The editor before a small real gateway: key, draft, review, apply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.fakes.gateway import ADMIN_KEY, NOW, READ_KEY, FakeGateway, served, with_every_state

EDIT = "/console/experiments/hold/edit"


@pytest.fixture
def gateway() -> FakeGateway:
    return with_every_state()


@pytest.fixture
def address(gateway: FakeGateway) -> Iterator[str]:
    with served(gateway.app()) as url:
        app = create(ConsoleSettings(gateway_url=url, api_key=READ_KEY))
        app.dependency_overrides[get_now] = lambda: NOW
        with served(app) as at:
            yield at


@pytest.fixture
def stranger(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address) as client:
        yield client


@pytest.fixture
def editor(stranger: httpx.Client) -> httpx.Client:
    answer = stranger.post("/console/editor/session", data={"key": ADMIN_KEY, "back": EDIT})
    assert (answer.status_code, answer.headers["location"]) == (303, EDIT)
    return stranger


def said_in(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.split("<main", 1)[1])).split())


def fields_of(answer: httpx.Response, form: int = -1) -> dict[str, str]:
    """What a browser would send back of one of the page's forms."""
    html = re.findall(r"<form.*?</form>", answer.text.split("<main", 1)[1], re.DOTALL)[form]
    result = {}
    for tag in re.findall(r"<input[^>]*>", html):
        kind = re.search(r'type="([^"]*)"', tag)
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if not name or "disabled" in tag or (kind and kind[1] in ("checkbox", "radio") and " checked" not in tag):
            continue
        result[name[1]] = unescape(value[1]) if value else "on"
    for name, attributes, options in re.findall(r'<select[^>]*name="([^"]*)"([^>]*)>(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        if "disabled" not in attributes:
            result[name] = chosen[1] if chosen else ""
    for name, attributes, text in re.findall(r'<textarea[^>]*name="([^"]*)"([^>]*)>(.*?)</textarea>', html, re.DOTALL):
        if "disabled" not in attributes:
            result[name] = unescape(text)
    return result


def sent(editor: httpx.Client, path: str, form: dict[str, str]) -> httpx.Response:
    """As a browser does: on to the page that the answer leads to."""
    answer = editor.post(path, data=form)
    assert answer.status_code in (303, 403, 409), answer.text
    return editor.get(answer.headers["location"]) if answer.status_code == 303 else answer


def reviewed(editor: httpx.Client, **typed: str) -> httpx.Response:
    return sent(editor, EDIT, fields_of(editor.get(EDIT)) | {"reason": "more users for test"} | typed)


def test_nobody_edits_without_a_key(stranger: httpx.Client) -> None:
    for path in (EDIT, "/console/experiments/new"):
        answer = stranger.get(path)
        assert "Admin key" in said_in(answer)
        assert "csrf" not in answer.text


def test_a_wrong_key_is_refused_and_not_repeated(stranger: httpx.Client) -> None:
    for key in ("wrong-key-of-somebody", READ_KEY, "", "schlüssel", "two\nlines"):
        answer = stranger.post("/console/editor/session", data={"key": key})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert "This key does not open the editor." in said_in(answer)
        assert not key or key not in answer.text


def test_the_session_is_short_strict_and_closed_to_scripts(stranger: httpx.Client) -> None:
    answer = stranger.post("/console/editor/session", data={"key": ADMIN_KEY, "back": EDIT})
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "max-age=1800", "path=/console"):
        assert part in cookie
    assert ADMIN_KEY not in cookie


@pytest.mark.parametrize("back", ["https://elsewhere.example/", "//elsewhere.example", "/console/\\elsewhere.example"])
def test_the_key_form_leads_back_here_only(stranger: httpx.Client, back: str) -> None:
    answer = stranger.post("/console/editor/session", data={"key": ADMIN_KEY, "back": back})
    assert answer.headers["location"] == "/console/experiments"


def test_the_key_is_in_no_page_address_or_log(editor: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    review = reviewed(editor, weight_control="20", weight_test="80")
    applied = editor.post("/console/experiments/hold/apply", data=fields_of(review) | {"confirm": "hold"})
    texts = [editor.get(EDIT).text, review.text, applied.text, str(applied.headers), str(review.request.url)]
    assert [text for text in texts if ADMIN_KEY in text] == []
    logged = capfd.readouterr()
    assert ADMIN_KEY not in logged.out + logged.err


def test_a_change_goes_from_draft_over_review_to_the_gateway(editor: httpx.Client, gateway: FakeGateway) -> None:
    review = reviewed(editor, weight_control="20", weight_test="80")
    said = said_in(review)
    assert "Weights control 50%, test 50% control 20%, test 80%" in said
    assert "About 15,000 users would change model, 30% of the 50,000 seen so far." in said
    assert "This starts a new weight period" in said
    assert gateway.edits == []
    applied = editor.post("/console/experiments/hold/apply", data=fields_of(review) | {"confirm": "hold"})
    assert (applied.status_code, applied.headers["location"]) == (303, "/console/experiments/hold")
    ((name, edit),) = gateway.edits
    assert name == "hold"
    assert edit.plan is not None
    assert edit.plan.weights == {"control": 0.2, "test": 0.8}
    assert (edit.reason, edit.by, edit.revision) == ("more users for test", "admin", 1)


def test_nothing_is_applied_without_the_name(editor: httpx.Client, gateway: FakeGateway) -> None:
    review = reviewed(editor, weight_control="20", weight_test="80")
    again = editor.post("/console/experiments/hold/apply", data=fields_of(review) | {"confirm": "hol"})
    assert again.status_code == 422
    assert "Type hold to confirm." in said_in(again)
    assert gateway.edits == []
    assert (
        editor.post("/console/experiments/hold/apply", data=fields_of(again) | {"confirm": "hold"}).status_code == 303
    )


def test_locked_fields_are_shown_and_never_sent(editor: httpx.Client) -> None:
    draft = editor.get(EDIT)
    assert "changing it now would make the two groups unlike" in said_in(draft)
    assert "A rule that is chosen after seeing the data is no longer wrong as seldom as it says" in said_in(draft)
    sent = fields_of(draft)
    assert "group_salt" not in sent
    assert "primary" not in sent
    assert sent["weight_control"] == "50"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"weight_test": "60"}, "Weight of test, %: weights add up to 1.1, not 1."),
        ({"reason": ""}, "Reason: say why"),
        ({}, "Reason: nothing is changed."),
        ({"ends_at": "never"}, "Ends at, UTC: “never” is not a time"),
    ],
)
def test_a_bad_draft_comes_back_with_its_fault(editor: httpx.Client, typed: dict[str, str], words: str) -> None:
    answer = reviewed(editor, **typed)
    assert answer.status_code == 422
    assert words in said_in(answer)
    if typed.get("weight_test"):
        assert fields_of(answer)["weight_test"] == "60"


def test_every_fault_of_a_new_plan_is_named_at_once_and_nothing_typed_is_lost(editor: httpx.Client) -> None:
    path = "/console/experiments/new"
    typed = {"name": "Bad Name", "reason": "", "weight_test": "60", "alpha": "abc", "guard_1_limit": "x"}
    answer = sent(editor, path, fields_of(editor.get(path)) | typed)
    assert answer.status_code == 422
    said = said_in(answer)
    for words in ("Name: a name has", "Error rate, %: “abc” is not", "Guard 1 limit: “x” is not", "Reason: say why"):
        assert words in said
    assert fields_of(answer).items() >= typed.items()
    assert answer.text.count("<details") == answer.text.count('<details class="sheet more"')
    assert re.findall(r'<details class="sheet more"( open)?>', answer.text) == ["", "", " open"]


def test_a_review_leads_back_to_what_was_typed(editor: httpx.Client) -> None:
    review = reviewed(editor, weight_control="20", weight_test="80")
    back = re.search(r'href="([^"]+)">Change<', review.text)
    assert back is not None
    draft = editor.get(unescape(back[1]))
    assert draft.status_code == 200
    assert fields_of(draft).items() >= {"weight_control": "20", "reason": "more users for test"}.items()
    assert 'role="alert"' not in draft.text


def test_the_pages_of_the_editor_are_asked_for_by_address_so_that_back_works(editor: httpx.Client) -> None:
    for typed in ({"weight_control": "20", "weight_test": "80"}, {"weight_test": "60"}):
        answer = reviewed(editor, **typed)
        assert answer.request.method == "GET"
        assert said_in(editor.get(str(answer.request.url))) == said_in(answer)


def test_a_draft_that_is_forgotten_leads_to_the_plan_as_it_is(editor: httpx.Client) -> None:
    assert fields_of(editor.get(f"{EDIT}?draft=forgotten"))["weight_control"] == "50"
    answer = editor.get("/console/experiments/hold/review?draft=forgotten")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/experiments")


def test_the_editor_says_before_the_start_what_a_plan_can_show(editor: httpx.Client) -> None:
    said = said_in(editor.get("/console/experiments/drafted/edit"))
    assert "a lift of 6.8% or more is found by then with a chance of 80%" in said
    assert "1% 89,274 more than 9" in said
    assert "a lift of 6.8%" not in said_in(editor.get(EDIT)), "a running one is past planning"


def test_a_new_plan_is_told_what_runs_beside_it(editor: httpx.Client) -> None:
    path = "/console/experiments/new"
    draft = editor.get(path)
    assert "All users of the layer models take part in" in said_in(draft)
    assert "a lift of 6.8% or more is found by then with a chance of 80%" in said_in(draft)
    assert "By the plan of ship; a saved draft shows its own." in said_in(draft)
    review = sent(editor, path, fields_of(draft) | {"name": "third-one", "reason": "a better text model"})
    assert "It cannot start now: 0% to 100% of the layer models overlap" in said_in(review)


def test_a_late_save_says_when_somebody_else_changed_it(editor: httpx.Client, gateway: FakeGateway) -> None:
    review = reviewed(editor, weight_control="20", weight_test="80")
    result = gateway.reports["hold"]
    newer = result.experiment.model_copy(update={"revision": 2})
    line = result.history[0].model_copy(update={"at": NOW.replace(minute=40), "revision": 2})
    gateway.reports["hold"] = result.model_copy(update={"experiment": newer, "history": [line, *result.history]})
    answer = editor.post("/console/experiments/hold/apply", data=fields_of(review) | {"confirm": "hold"})
    assert answer.status_code == 409
    assert "Someone changed this at 09:40. Reload to see it." in said_in(answer)
    assert gateway.edits == []


def test_a_late_draft_is_told_before_its_review(editor: httpx.Client) -> None:
    draft = fields_of(editor.get(EDIT))
    answer = sent(editor, EDIT, draft | {"revision": "0", "reason": "older"})
    assert answer.status_code == 409
    assert "Reload to see it." in said_in(answer)


def test_an_experiment_is_decided_by_the_editor(editor: httpx.Client, gateway: FakeGateway) -> None:
    act = fields_of(editor.get(EDIT), 1) | {"act": "roll_back", "act_reason": "slower for everybody"}
    review = sent(editor, EDIT, act)
    assert "About 25,000 users would change model" in said_in(review)
    assert "Decision – Roll back test: it does harm" in said_in(review)
    editor.post("/console/experiments/hold/apply", data=fields_of(review) | {"confirm": "hold"})
    ((_, edit),) = gateway.edits
    assert (edit.decision, edit.plan, edit.reason) == ("roll_back", None, "slower for everybody")


def test_a_draft_is_started_by_the_editor(editor: httpx.Client, gateway: FakeGateway) -> None:
    path = "/console/experiments/drafted/edit"
    act = fields_of(editor.get(path), 1) | {"act": "start", "act_reason": "the model is ready"}
    review = sent(editor, path, act)
    assert "About 50% of users would change model." in said_in(review)
    editor.post("/console/experiments/drafted/apply", data=fields_of(review) | {"confirm": "drafted"})
    assert gateway.edits[0][1].state == "running"


def test_a_new_experiment_is_created(editor: httpx.Client, gateway: FakeGateway) -> None:
    path = "/console/experiments/new"
    typed = {"name": "third-one", "reason": "a better text model", "enrolment": "20"}
    review = sent(editor, path, fields_of(editor.get(path)) | typed)
    assert "No user changes model before it starts." in said_in(review)
    editor.post("/console/experiments/third-one/apply", data=fields_of(review) | {"confirm": "third-one"})
    ((name, edit),) = gateway.edits
    assert (name, edit.revision) == ("third-one", None)
    assert edit.plan is not None
    assert edit.plan.enrolment == 0.2


@pytest.mark.parametrize(("name", "words"), [("hold", "already"), ("new", "lower-case"), ("Bad Name", "lower-case")])
def test_a_name_must_be_one_and_free(editor: httpx.Client, name: str, words: str) -> None:
    path = "/console/experiments/new"
    answer = sent(editor, path, fields_of(editor.get(path)) | {"name": name, "reason": "because"})
    assert answer.status_code == 422
    assert words in said_in(answer)


def test_what_the_platform_refuses_comes_back_to_the_draft(editor: httpx.Client, gateway: FakeGateway) -> None:
    path = "/console/experiments/new"
    typed = {"name": "third-one", "reason": "a better text model", "layer": "taken"}
    review = sent(editor, path, fields_of(editor.get(path)) | typed)
    answer = editor.post("/console/experiments/third-one/apply", data=fields_of(review) | {"confirm": "third-one"})
    assert answer.status_code == 422
    assert "Layer: layer: overlaps the experiment other." in said_in(answer)
    assert fields_of(answer)["layer"] == "taken"
    assert gateway.edits == []


def test_a_forged_form_changes_nothing(editor: httpx.Client, gateway: FakeGateway) -> None:
    review = fields_of(reviewed(editor, weight_control="20", weight_test="80")) | {"confirm": "hold"}
    path = "/console/experiments/hold/apply"
    without = {name: value for name, value in review.items() if name != "csrf"}
    assert editor.post(path, data=without).status_code == 403
    assert editor.post(path, data=review | {"csrf": "guessed"}).status_code == 403
    assert editor.post(path, data=review, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    editor.cookies.clear()
    assert editor.post(path, data=review).status_code == 403
    assert gateway.edits == []


def test_the_editor_can_be_closed(editor: httpx.Client) -> None:
    sent = fields_of(editor.get(EDIT), 0)
    kept = dict(editor.cookies)
    assert editor.post("/console/editor/leave", data=sent).status_code == 303
    editor.cookies.update(kept)
    assert "Admin key" in said_in(editor.get(EDIT)), "the session is gone on the server, whatever the browser keeps"


def test_a_gateway_that_is_gone_is_not_a_wrong_key() -> None:
    with served(FakeGateway().app()) as url:
        pass
    with served(create(ConsoleSettings(gateway_url=url))) as at:
        answer = httpx.post(f"{at}/console/editor/session", data={"key": ADMIN_KEY})
    assert answer.status_code == 503
    assert "The key cannot be checked now" in said_in(answer)


def test_nothing_of_the_editor_is_kept_by_a_browser(editor: httpx.Client) -> None:
    assert editor.get(EDIT).headers["cache-control"] == "no-store"


def test_behind_a_proxy_that_speaks_tls_the_cookie_travels_over_nothing_else(gateway: FakeGateway) -> None:
    with served(gateway.app()) as url:
        app = create(ConsoleSettings(gateway_url=url, api_key=READ_KEY, secure_cookies=True))
        with served(app) as at, httpx.Client(base_url=at) as browser:
            answer = browser.post("/console/editor/session", data={"key": ADMIN_KEY, "back": EDIT})
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_keys_that_are_guessed_too_quickly_are_told_to_wait() -> None:
    async def busy(_: Request) -> Response:
        return Response(status_code=429)

    app = Starlette(routes=[Route("/{path:path}", busy, methods=["PUT"])])
    with served(app) as url, served(create(ConsoleSettings(gateway_url=url))) as at:
        answer = httpx.post(f"{at}/console/editor/session", data={"key": "a guess", "back": EDIT})
    assert answer.status_code == 503
    assert "the gateway is asked too often; try again in a few seconds" in said_in(answer)
