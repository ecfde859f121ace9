"""Only processes that we started are ever touched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.processes import Process, Processes, spawn
from pipeline.stack.readiness import wait_ready

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that somebody else has started."""
    with subprocess.Popen(SLEEPER) as process:
        yield process
        process.kill()


def test_a_started_process_is_found_and_stopped(home: Home) -> None:
    process = spawn("sleeper", SLEEPER, 1, {}, home.log("sleeper"))
    assert process.live() is not None
    assert process.stop()
    assert process.live() is None


def test_stopping_twice_says_that_nothing_ran(home: Home) -> None:
    process = spawn("sleeper", SLEEPER, 1, {}, home.log("sleeper"))
    assert [process.stop(), process.stop()] == [True, False]


def test_a_process_that_got_a_dead_ones_pid_is_left_alone(home: Home, stranger: subprocess.Popen[bytes]) -> None:
    ours = Process.seen("gateway", stranger.pid, 1, home.log("gateway"))
    earlier = ours.model_copy(update={"started": ours.started - 60})
    assert earlier.live() is None
    assert not earlier.stop()
    assert stranger.poll() is None


def test_the_record_survives_a_write_and_a_read(home: Home, stranger: subprocess.Popen[bytes]) -> None:
    process = Process.seen("gateway", stranger.pid, 8000, home.log("gateway"))
    Processes(running={"gateway": process}, server_ports={"redis": 7000}).write(home)
    read = Processes.read(home)
    assert read.alive("gateway") == process
    assert read.ports_alive() == {"gateway": 8000}
    assert read.server_ports == {"redis": 7000}


def test_a_broken_record_is_named(home: Home) -> None:
    home.run.mkdir(parents=True)
    home.stack.write_text("{")
    with pytest.raises(LentaError, match=r"stack\.json is broken"):
        Processes.read(home)


def test_a_service_that_ends_at_start_is_named_with_its_log_and_last_words(home: Home) -> None:
    command = (sys.executable, "-c", "raise SystemExit('GATEWAY_FEATURES_URL: Field required')")
    process = spawn("gateway", command, 1, {}, home.log("gateway"))
    with pytest.raises(LentaError, match=r"gateway has ended; its log: .*gateway\.log\nGATEWAY_FEATURES_URL: Field"):
        wait_ready([process], 10, lambda name: None)


def test_a_service_that_never_gets_ready_is_named_with_its_reason(home: Home) -> None:
    process = spawn("gateway", SLEEPER, 1, {}, home.log("gateway"))
    with pytest.raises(LentaError, match=r"gateway is not ready after 0 s: does not answer \(ConnectError\)"):
        wait_ready([process], 0, lambda name: None)
    process.stop()


def test_two_commands_at_once_are_refused(home: Home) -> None:
    with home.alone(), pytest.raises(LentaError, match="another `lenta up` or `lenta down` is running"), home.alone():
        pass
