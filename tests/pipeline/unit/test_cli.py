"""What the command says and ends with when something goes wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pipeline.errors import LentaError

from pipeline import cli


@pytest.fixture(autouse=True)
def handler_of_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ended(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int | str | None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_an_error_is_said_to_the_letter(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = "a[b]c has no user_data; run `pip install lenta-pipeline[spark]`, [/sport] or not"
    assert ended(monkeypatch, LentaError(said)) == 1
    assert capsys.readouterr().err == f"lenta: {said}\n"


def test_a_query_that_was_interrupted_ends_as_an_interrupted_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended(monkeypatch, RuntimeError("Query interrupted")) == 130


def test_a_command_that_is_told_to_end_leaves_no_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def works() -> None:
        with TemporaryDirectory(dir=tmp_path):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    monkeypatch.setattr(cli, "app", works)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 143
    assert list(tmp_path.iterdir()) == []


def test_any_other_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()
