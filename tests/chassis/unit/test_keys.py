"""Keys of a file change while the service runs, and a file that breaks takes none away."""

from __future__ import annotations

from hashlib import sha256
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


SCOPES = {"events", "read"}


def test_a_key_opens_what_its_entry_says_and_one_that_says_nothing_the_usual() -> None:
    keys = Keys("plain, events=writer, read=both, events=both, events+read=one", scopes=SCOPES, default={"read"})
    for key, opened in (
        ("plain", {"read"}), ("writer", {"events"}), ("both", SCOPES), ("one", SCOPES), ("other", set()),
        ("events=writer", set()),
    ):  # fmt: skip
        assert keys.scopes_of(key) == opened, key


def test_the_hash_of_a_key_stands_for_it_and_opens_nothing_itself() -> None:
    hashed = f"sha256:{sha256(b'secret').hexdigest()}"
    keys = Keys(f"events={hashed}", scopes=SCOPES)
    assert keys.scopes_of("secret") == {"events"}
    assert hashed not in keys


def test_a_key_of_base64_is_no_scope() -> None:
    for key in ("YWJj", "abc=", "abc==", "read=", "ABC=def"):
        assert Keys(key, scopes=SCOPES, default=SCOPES).scopes_of(key) == SCOPES, key


def test_a_scope_that_is_not_there_is_named_at_the_start_and_changes_nothing_later(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'reed'; a key opens events, read"):
        Keys("reed=key", scopes=SCOPES)
    clock, file = Clock(), tmp_path / "keys"
    file.write_text("read=old")
    keys = Keys("", file, clock, scopes=SCOPES)
    file.write_text("reed=newer")
    clock.now += LOOK_SECONDS
    assert keys.scopes_of("old") == {"read"}
    file.write_text("read=new, events=other")
    clock.now += LOOK_SECONDS
    assert not keys.scopes_of("old")
    assert keys.scopes_of("new") == {"read"}
