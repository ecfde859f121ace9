"""`.env.example` names every variable of every service, and nothing that no service knows."""

from __future__ import annotations

import re

import pytest
from chassis.settings import ServiceSettings, SettingsError
from console.settings import ConsoleSettings
from feature_service.settings import Settings as FeatureSettings
from gateway.settings import Settings as GatewaySettings
from ranking.settings import RankerSettings

from tests.support.checkout import ROOT

SETTINGS: tuple[type[ServiceSettings], ...] = (GatewaySettings, FeatureSettings, RankerSettings, ConsoleSettings)
LINES = (ROOT / ".env.example").read_text().splitlines()
DOCUMENTED = {match[1] for line in LINES if (match := re.match(r"(?:# )?([A-Z][A-Z_]+)=", line))}
PORTS = {"GATEWAY_PORT", "CONSOLE_PORT", "RANKER_CONTROL_PORT", "RANKER_TEST_PORT"}
"""Read by make up, which names a service's port; no setting of the service."""


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_example_names_every_setting_and_no_other(settings: type[ServiceSettings]) -> None:
    prefix = settings.model_config["env_prefix"]
    known = {f"{prefix}{name}".upper() for name in settings.model_fields}
    assert {name for name in DOCUMENTED if name.startswith(prefix)} - PORTS == known - PORTS


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEATURES_REDIS_URL", "FEATURES_POSTGRES_URL", "FEATURES_SHARD"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match="FEATURES_SHARD: no such setting"):
        FeatureSettings.read()


def test_a_missing_and_a_malformed_variable_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURES_REDIS_URL", "x")
    monkeypatch.setenv("FEATURES_SHARDS", "many")
    with pytest.raises(SettingsError, match=r"FEATURES_POSTGRES_URL: Field required.*FEATURES_SHARDS"):
        FeatureSettings.read()
