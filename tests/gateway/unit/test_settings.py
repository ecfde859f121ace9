"""Keys that everybody knows open nothing that others reach."""

from __future__ import annotations

import pytest
from chassis.settings import SettingsError
from gateway.settings import Settings

WHOLE = {
    "GATEWAY_FEATURES_URL": "http://features",
    "GATEWAY_CONTROL_URL": "http://control",
    "GATEWAY_TEST_URL": "http://test",
    "GATEWAY_API_KEYS": "a-key",
}


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("listen", ["", "0.0.0.0", "10.0.0.7", "::", "lenta.example.org", "127.0.0.1.example.org"])
@pytest.mark.parametrize(
    ("variable", "keys"),
    [
        ("GATEWAY_API_KEYS", "development"),
        ("GATEWAY_API_KEYS", "a-key, change-me"),
        ("GATEWAY_ADMIN_KEYS", "administration"),
        ("GATEWAY_INTERNAL_KEY", "new,development"),
    ],
)
def test_a_key_that_everybody_knows_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, listen: str, variable: str, keys: str
) -> None:
    monkeypatch.setenv("GATEWAY_LISTEN", listen)
    monkeypatch.setenv(variable, keys)
    with pytest.raises(SettingsError, match=f"^{variable} holds '[a-z-]+', a key that everybody knows; set another"):
        Settings.read()


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_it_is_taken(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    monkeypatch.setenv("GATEWAY_LISTEN", listen)
    monkeypatch.setenv("GATEWAY_API_KEYS", "development")
    assert Settings.read().api_keys == "development"


def test_more_rankers_stand_beside_the_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MORE_RANKERS", " challenger=http://third:8003 ,old_one=https://old ")
    rankers = Settings.read().rankers
    assert list(rankers) == ["control", "test", "challenger", "old_one"]
    assert (rankers["challenger"], rankers["old_one"]) == ("http://third:8003", "https://old")


@pytest.mark.parametrize(
    "given", ["challenger", "test=http://x", "shipped=http://x", "Big=http://x", "a=ftp://x", "=http://x"]
)
def test_what_is_no_ranker_is_refused_by_the_variables_name(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("GATEWAY_MORE_RANKERS", given)
    with pytest.raises(SettingsError, match=r"^GATEWAY_MORE_RANKERS.* is no ranker beside control, test: write"):
        Settings.read()
