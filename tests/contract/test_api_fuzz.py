"""Whatever is sent to the public door, what comes back is in its description, and never an error of ours.

`make fuzz` sends 10,000 requests, the suite some hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as of_openapi

from tests.support.fuzz import FUZZ
from tests.support.platforms.gateway_stage import ADMIN
from tests.support.platforms.whole_platform import WholePlatform, whole_platform

CASES = 250 * FUZZ
"""Over all calls."""
CHECKS = [
    checks.not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
]


@pytest.fixture
def platform(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[WholePlatform]:
    with whole_platform(postgres_url, redis_url, tmp_path) as running:
        yield running


def test_nothing_that_is_sent_gets_an_answer_outside_the_description(platform: WholePlatform) -> None:
    schema = schemathesis.openapi.from_url(f"{platform.gateway}/openapi.json")
    operations: list[Any] = [result.ok() for result in cast(Any, schema.get_all_operations())]
    for operation in operations:
        _fuzz(operation, -(-CASES // len(operations)))
    assert platform.http.get("/readyz").status_code == 200
    platform.features.settle()


def _fuzz(operation: Any, cases: int) -> None:
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        case.call_and_validate(headers={"X-API-Key": ADMIN}, checks=CHECKS)

    send()
