"""The settings without which Redis would lose what it acknowledged."""

from __future__ import annotations

import pytest
from feature_service.keyspace.connection import REQUIRED, wrong_settings

RIGHT: dict[bytes | str, bytes | str] = {
    b"appendonly": b"yes",
    b"appendfsync": b"always",
    b"maxmemory-policy": b"noeviction",
}


def test_the_platforms_own_redis_settings_are_right() -> None:
    assert wrong_settings(dict(RIGHT)) is None


@pytest.mark.parametrize("name", list(REQUIRED))
def test_each_wrong_redis_setting_is_named_with_its_right_value(name: str) -> None:
    fault = wrong_settings({**RIGHT, name.encode(): b"other"})
    assert fault is not None
    assert f"{name} is other, must be {REQUIRED[name]}" in fault
