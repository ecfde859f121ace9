"""The rules' page and editor before a small real gateway: read by anybody who reads, changed with the admin key."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now
from contracts.rules import SlateRules

from tests.console.integration.test_editor import fields_of, said_in
from tests.support.fakes.gateway import ADMIN_KEY, NOW, READ_KEY, FakeGateway, served, with_every_state

EDIT = "/console/rules/default/edit"


@pytest.fixture
def gateway() -> FakeGateway:
    return with_every_state()


@pytest.fixture
def reader(gateway: FakeGateway) -> Iterator[httpx.Client]:
    with served(gateway.app()) as url:
        app = create(ConsoleSettings(gateway_url=url, api_key=READ_KEY))
        app.dependency_overrides[get_now] = lambda: NOW
        with served(app) as at, httpx.Client(base_url=at) as client:
            yield client


@pytest.fixture
def editor(reader: httpx.Client) -> httpx.Client:
    assert reader.post("/console/editor/session", data={"key": ADMIN_KEY, "back": EDIT}).status_code == 303
    return reader


def test_without_the_key_rules_are_read_and_not_changed(reader: httpx.Client, gateway: FakeGateway) -> None:
    assert "No rule: each model’s own list is shown." in said_in(reader.get("/console/rules"))
    assert "Admin key" in reader.get(EDIT).text
    assert reader.post(EDIT, data={"most_per_topic": "2", "reason": "a test"}).status_code == 403
    assert gateway.rule_pages["default"].rule_set.revision == 0


def test_rules_are_saved_with_who_and_why_and_read_back(editor: httpx.Client, gateway: FakeGateway) -> None:
    form = fields_of(editor.get(EDIT))
    typed = {"pins": "1: 152", "most_per_topic": "2", "reason": "the <final> is today", "by": "ada"}
    answer = editor.post(EDIT, data=form | typed)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/rules#default")
    assert gateway.rule_pages["default"].rule_set.rules == SlateRules(pins={1: 152}, most_per_topic=2)
    (default,) = editor.get("/console/rules.json").json()
    assert default["rules"][0] == {"label": "Pinned", "value": "post 152 at slot 1"}
    said = said_in(editor.get("/console/rules"))
    assert "post 152 at slot 1" in said
    assert "the <final> is today (ada)" in said


def test_a_slip_and_a_refusal_stand_at_the_field_with_what_was_typed(
    editor: httpx.Client, gateway: FakeGateway
) -> None:
    form = fields_of(editor.get(EDIT)) | {"reason": "a test"}
    for typed, says in (({"pins": "152"}, "no line like"), ({"pins": "1: 999"}, "there is no post 999")):
        answer = editor.post(EDIT, data=form | typed)
        assert answer.status_code == 422
        assert says in said_in(answer)
        assert 'id="fault-pins"' in answer.text
        assert typed["pins"] in answer.text
    assert 'id="fault-reason"' in editor.post(EDIT, data=form | {"reason": "x"}).text
    late = editor.post(EDIT, data=form | {"revision": "7"})
    assert (late.status_code, "at revision 0" in said_in(late)) == (409, True)
    assert gateway.rule_pages["default"].rule_set.revision == 0


def test_a_new_set_is_written_under_its_name(editor: httpx.Client, gateway: FakeGateway) -> None:
    answer = editor.get("/console/rules?name=spring")
    assert answer.headers["location"] == "/console/rules/spring/edit"
    form = fields_of(editor.get("/console/rules/spring/edit"))
    editor.post("/console/rules/spring/edit", data=form | {"diversity": "0.5", "reason": "to compare"})
    assert gateway.rule_pages["spring"].rule_set.rules.diversity == 0.5
    assert editor.get("/console/rules?name=No+name").status_code == 422
    assert editor.get("/console/rules/No/edit").status_code == 404


def test_without_a_gateway_the_page_says_so(editor: httpx.Client, gateway: FakeGateway) -> None:
    gateway.down = True
    assert editor.get("/console/rules").status_code == 503
    assert editor.get(EDIT).status_code == 503
