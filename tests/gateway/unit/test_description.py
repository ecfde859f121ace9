"""The API's description: an example of every call, each what the call itself would take or give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from contracts import experiments, reports, rules, wire
from contracts.wire import Message
from gateway.app import create
from gateway.paths import inner
from gateway.settings import Settings
from pydantic import ValidationError


def _settings(cors_origins: str = "") -> Settings:
    return Settings(
        features_url="http://features",
        control_url="http://control",
        test_url="http://test",
        api_keys="a",
        cors_origins=cors_origins,
    )


DESCRIPTION = create(_settings()).openapi()
MESSAGES: dict[str, type[Message]] = {
    name: message
    for module in (wire, experiments, reports, rules)
    for name, message in vars(module).items()
    if isinstance(message, type) and issubclass(message, Message)
}


def _contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Of every call's body and successful answer, under a name for people."""
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    yield from ((f"{method} {path} {status}", each) for each in answer["content"].values())
            if "requestBody" in operation:
                yield from ((f"{method} {path} body", each) for each in operation["requestBody"]["content"].values())


CONTENTS = dict(_contents())


def test_every_call_is_described() -> None:
    assert len(CONTENTS) >= 24
    assert {"post /events body", "put /user/{id} body", "put /post/{id} body"} <= set(CONTENTS)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_call_has_an_example_of_its_own_kind(name: str) -> None:
    content = CONTENTS[name]
    example, schema = content["example"], content["schema"]
    assert example
    for each in example if schema.get("type") == "array" else [example]:
        if "$ref" in (kind := schema.get("items", schema)):
            _message(kind).model_validate(each)


def _message(schema: dict[str, Any]) -> type[Message]:
    return MESSAGES[schema["$ref"].rsplit("/", 1)[1]]


def test_every_path_is_offered_with_its_version_first() -> None:
    assert [server["url"] for server in DESCRIPTION["servers"]] == ["/v1", "/"]


@pytest.mark.parametrize(
    ("outside", "inside"),
    [
        ("/v1/events", "/events"),
        ("/events", "/events"),
        ("/post/recommendations", "/post/recommendations/"),
        ("/v1/test/post/explanations", "/test/post/explanations/"),
        ("/post/recommendations/", "/post/recommendations/"),
        ("/v1", "/v1"),
        ("/v10/events", "/v10/events"),
        ("/v1/v1/events", "/v1/events"),
        ("/post/152", "/post/152"),
    ],
)
def test_a_call_has_one_path_inside(outside: str, inside: str) -> None:
    assert inner(outside) == inside


@pytest.mark.parametrize("origins", ["app.example", "https://app.example/", "https://a.example b", "*.example"])
def test_what_is_no_origin_is_refused_by_name(origins: str) -> None:
    with pytest.raises(ValidationError, match=r"write https://app\.example, without a path"):
        _settings(f"https://good.example, {origins}")
