"""What a forge reads: it parses, and calls only what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.checkout import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def read(path: str) -> Any:
    return yaml.load((ROOT / path).read_text(), yaml.BaseLoader)  # BaseLoader: `on` stays a word


def test_the_workflow_runs_the_quick_checks_on_each_push_and_everything_each_night() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert {"push", "pull_request", "schedule", "workflow_dispatch"} == set(workflow["on"])
    quick, whole = (_commands(workflow["jobs"][name]) for name in ("quick", "whole"))
    assert quick == ["make lint", "make types", "make coverage"]
    assert [command.split()[-1] for command in whole] == [".ci/run"]
    assert workflow["permissions"] == {"contents": "read"}


def test_every_target_that_the_workflow_and_the_hooks_call_exists() -> None:
    called = (ROOT / ".github/workflows/ci.yml").read_text() + (ROOT / ".pre-commit-config.yaml").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)", called))
    assert targets
    assert targets <= TARGETS


def test_hooks_are_the_project_s_own_commands() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" for hook in repository["hooks"])


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem
)
def test_an_issue_form_asks_something_and_names_each_answer_once(form: Path) -> None:
    body = read(str(form.relative_to(ROOT)))["body"]
    asked = [field["id"] for field in body]
    assert any(field.get("validations", {}).get("required") == "true" for field in body)
    assert len(asked) == len(set(asked))
    assert all(field["attributes"]["label"] for field in body)


def _commands(job: Any) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]
