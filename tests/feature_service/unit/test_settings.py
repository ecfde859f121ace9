"""Stores with a password that everybody knows serve nothing that others reach."""

from __future__ import annotations

import pytest
from chassis.settings import SettingsError
from feature_service.settings import Settings

STORES = {
    "FEATURES_REDIS_URL": "redis://:own@redis:6379/0",
    "FEATURES_POSTGRES_URL": "postgresql://lenta:own@db:5432/lenta",
}
KNOWN = {
    "FEATURES_REDIS_URL": "redis://:development@redis:6379/0",
    "FEATURES_POSTGRES_URL": "postgresql://lenta:change-me@db:5432/lenta",
}


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in STORES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("variable", KNOWN)
@pytest.mark.parametrize("listen", ["", "0.0.0.0", "10.0.0.7", "lenta.example.org"])
def test_a_password_that_everybody_knows_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, listen: str, variable: str
) -> None:
    monkeypatch.setenv("FEATURES_LISTEN", listen)
    monkeypatch.setenv(variable, KNOWN[variable])
    with pytest.raises(SettingsError, match=f"^{variable} holds the password '[a-z-]+', which everybody knows; set"):
        Settings.read()


@pytest.mark.parametrize("variable", KNOWN)
def test_where_the_platform_is_published_on_loopback_it_is_taken(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("FEATURES_LISTEN", "127.0.0.1")
    monkeypatch.setenv(variable, KNOWN[variable])
    assert Settings.read().listen == "127.0.0.1"


def test_so_it_is_for_stores_that_are_on_loopback_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, url in KNOWN.items():
        monkeypatch.setenv(variable, url.replace("redis:6379", "localhost:6379").replace("@db", "@127.0.0.1"))
    assert Settings.read().listen == ""


def test_a_password_of_ones_own_is_taken_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURES_LISTEN", "0.0.0.0")
    assert Settings.read().redis_url == STORES["FEATURES_REDIS_URL"]
