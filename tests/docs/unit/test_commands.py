"""Every command of the documentation exists: its program, its target, its options, its call, its file.

Here nothing is run; tests/e2e/test_docs.py runs those that a running platform answers.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
from gateway.app import create
from gateway.settings import Settings
from pipeline.cli import app

from tests.support.checkout import ROOT
from tests.support.docs import Command, commands, fences, pages

COMMANDS = [command for page in pages() for command in commands(page)]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
VARIABLES = set(re.findall(r"\b([A-Z_]+)=", (ROOT / "Makefile").read_text()))
LANGUAGES = {"sh", "console", "text", "json", "python", "yaml", "toml", "csv", "sql", "html", "js"}
OF_COMPOSE = {"up", "run", "exec", "stop", "start", "logs", "down", "build", "pull"}


def test_pages_with_commands_are_read() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/try.md", "docs/app.md"} <= {command.page for command in COMMANDS}
    assert len(COMMANDS) > 40


def test_every_fence_says_its_language() -> None:
    unknown = {(str(page), language) for page in pages() for language, _ in fences(page) if language not in LANGUAGES}
    assert unknown == set()


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_the_documentation_exists(command: Command) -> None:
    program = Path(command.words[0]).name
    if command.words[0].startswith("infra/"):
        assert (ROOT / command.words[0]).is_file()
    else:
        CHECKS[program](command.words)


def _check_make(words: tuple[str, ...]) -> None:
    for word in words[1:]:
        name, is_variable, _ = word.partition("=")
        assert name in (VARIABLES if is_variable else TARGETS), word


def _check_lenta(words: tuple[str, ...]) -> None:
    """Its subcommand, its options, and as many arguments as it takes."""
    command: Any = typer.main.get_command(app)
    rest = list(words[1:])
    while subcommands := getattr(command, "commands", None):
        command = subcommands[rest.pop(0)]
    context = command.make_context(command.name, [], resilient_parsing=True)
    _, left_over, _ = command.make_parser(context).parse_args(rest)  # raises at an option that it does not know
    assert left_over == []


def _check_curl(words: tuple[str, ...]) -> None:
    urls = [word for word in words if word.startswith(("http://", "$LENTA_GATEWAY_URL"))]
    assert len(urls) == 1
    url = urlsplit(urls[0].replace("$LENTA_GATEWAY_URL", "http://127.0.0.1:8000"))
    path = url.path.removeprefix("/v1")
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET"
    assert url.netloc == "127.0.0.1:8000"
    assert any(re.fullmatch(pattern, path) and method.lower() in methods for pattern, methods in _routes())


def _routes() -> Iterator[tuple[str, set[str]]]:
    settings = Settings(
        features_url="http://features", control_url="http://control", test_url="http://test", api_keys="a,b"
    )
    for path, operations in create(settings).openapi()["paths"].items():
        yield re.sub(r"{[^}]+}", "[^/]+", path), set(operations)


def _check_pytest(words: tuple[str, ...]) -> None:
    """At least one test is what it asks for."""
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--co", *words[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert collected.returncode == 0, collected.stdout[-500:]


def _check_python(words: tuple[str, ...]) -> None:
    if words[1] == "-m":
        assert find_spec(words[2]) is not None
    else:
        assert (ROOT / words[1]).is_file()


def _check_docker(words: tuple[str, ...]) -> None:
    assert words[1] == "compose"
    assert words[2] in OF_COMPOSE
    if words[2] == "run":
        _check_lenta(words[words.index("lenta") :])


def _check_kubectl(words: tuple[str, ...]) -> None:
    assert words[1] in ("apply", "kustomize", "create", "get", "logs", "rollout")
    if "-k" in words:
        assert (ROOT / words[words.index("-k") + 1] / "kustomization.yaml").is_file()


def _check_file(words: tuple[str, ...]) -> None:
    assert (ROOT / words[-1]).exists() or words[-1].startswith("$(")


def _any(words: tuple[str, ...]) -> None:
    """Programs of others, whose arguments are theirs."""


CHECKS: dict[str, Callable[[tuple[str, ...]], None]] = {
    "make": _check_make,
    "lenta": _check_lenta,
    "curl": _check_curl,
    "pytest": _check_pytest,
    "python": _check_python,
    "docker": _check_docker,
    "kubectl": _check_kubectl,
    "eval": _any,
    "git": _any,
    "grep": _any,
    "jupyter": _any,
    "mkdir": _any,
    "pip": _any,
    "psql": _any,
}
"""What a new program's commands must hold is said here, or the test fails."""
