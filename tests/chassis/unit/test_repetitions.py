"""A warning that comes with every answer is said once a second, and its next says how often it came."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from chassis import logs, repetitions
from chassis.logs import configure_logs
from chassis.repetitions import Repetitions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(said: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("uvicorn.error", level, "file", 1, said, (), None)


def event(**fields: object) -> dict[str, object]:
    return {"event": "unlogged", "reason": "timeout", **fields}


def test_of_a_series_the_first_is_said_and_the_next_a_second_later_counts_the_rest() -> None:
    clock = Clock()
    kept = Repetitions(clock)
    said = [kept.filter(record(event(request_id=str(number), timestamp=str(number)))) for number in range(100)]
    assert said == [True] + [False] * 99
    clock.now = 1.0
    later = record(event(request_id="other"))
    assert kept.filter(later)
    assert isinstance(later.msg, dict)
    assert later.msg["repeated"] == 99
    clock.now = 2.0
    last = record(event())
    assert kept.filter(last)
    assert "repeated" not in last.msg


def test_what_differs_in_a_field_or_a_level_is_another_thing() -> None:
    kept = Repetitions(Clock())
    for fields in ({}, {"reason": "refused"}, {"upstream": "ranker-test"}):
        assert kept.filter(record(event(**fields)))
    assert kept.filter(record(event(), logging.ERROR))


def test_lines_of_libraries_are_summed_too() -> None:
    clock = Clock()
    kept = Repetitions(clock)
    assert [kept.filter(record("Invalid HTTP request received.")) for _ in range(3)] == [True, False, False]
    clock.now = 1.0
    later = record("Invalid HTTP request received.")
    assert kept.filter(later)
    assert later.getMessage() == "Invalid HTTP request received. (2 more since the last)"


def test_what_is_no_warning_is_never_kept_back() -> None:
    kept = Repetitions(Clock())
    assert all(kept.filter(record(event(), logging.INFO)) for _ in range(3))


def test_so_many_warnings_are_remembered_and_no_more() -> None:
    kept = Repetitions(Clock())
    for number in range(repetitions.REMEMBERED * 2):
        assert kept.filter(record(event(reason=str(number))))
    assert len(kept._series) == repetitions.REMEMBERED


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("logging_as_before")
def test_a_file_of_logs_is_replaced_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2_000)
    file = tmp_path / "small.log"
    configure_logs("small", "INFO", file)
    for number in range(200):
        structlog.get_logger().warning("unlogged", number=number)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["small.log", "small.log.1", "small.log.2", "small.log.3"]
    assert all(path.stat().st_size <= 2_000 for path in files)
    last = json.loads(file.read_text().splitlines()[-1])
    assert (last["event"], last["number"], last["service"]) == ("unlogged", 199, "small")
