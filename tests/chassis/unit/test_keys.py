"""Keys of a file change while the service runs, and a file that breaks takes none away."""

from __future__ import annotations

from pathlib import Path

import pytest
from chassis.keys import LOOK_SECONDS, Keys


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_may_stand_among_others_and_nothing_else_opens() -> None:
    keys = Keys(" first, second ,,")
    for key, opens in (("first", True), ("second", True), ("", False), (" first", False), ("first, second", False)):
        assert (key in keys) is opens
    assert not Keys(" , ")
    assert "\ud800" not in keys


def test_a_changed_file_is_read_within_a_second(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "keys"
    file.write_text("old\nother\n")
    keys = Keys("given", file, clock)
    assert all(key in keys for key in ("given", "old", "other"))
    file.write_text("new,other")
    assert "new" not in keys
    clock.now += LOOK_SECONDS
    assert "new" in keys
    assert "old" not in keys
    assert "given" in keys


@pytest.mark.parametrize("what", ["removed", "no text"])
def test_a_file_that_cannot_be_read_leaves_the_keys_that_there_were(tmp_path: Path, what: str) -> None:
    clock, file = Clock(), tmp_path / "keys"
    file.write_text("old")
    keys = Keys("", file, clock)
    if what == "removed":
        file.unlink()
    else:
        file.write_bytes(b"\xff\xfe\x00")
    clock.now += LOOK_SECONDS
    assert "old" in keys
    file.unlink(missing_ok=True)
    file.write_text("new")
    clock.now += LOOK_SECONDS
    assert "new" in keys
    assert "old" not in keys


def test_a_file_that_is_not_there_at_the_start_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Keys("given", tmp_path / "nowhere")
