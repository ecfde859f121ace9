"""What the platform is filled with, and what its commands read of it."""

from __future__ import annotations

import os
import stat
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.bootstrap import Filled
from pipeline.stack.platform import keys_of
from pipeline.stack.services import services
from pipeline.tables.source import Source
from pipeline.terminal import parse_time

from pipeline import environment


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    folder = tmp_path / "dump"
    folder.mkdir()
    for name in ("user_data.csv", "post_text_df.parquet", "feed_data.csv"):
        (folder / name).write_text("x")
    return folder


def test_the_environment_file_is_its_owners_alone(home: Home) -> None:
    environment.write(home, {"LENTA_API_KEY": "secret"})
    assert stat.S_IMODE(home.environment.stat().st_mode) == 0o600
    assert environment.read(home) == {"LENTA_API_KEY": "secret"}


def test_a_variable_wins_over_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.write(home, {"LENTA_POSTGRES_URL": "postgresql://file"})
    assert environment.setting("LENTA_POSTGRES_URL", home) == "postgresql://file"
    monkeypatch.setenv("LENTA_POSTGRES_URL", "postgresql://variable")
    assert environment.require("LENTA_POSTGRES_URL", home) == "postgresql://variable"


def test_a_missing_setting_is_named_with_what_to_do(home: Home) -> None:
    with pytest.raises(LentaError, match=r"LENTA_MODEL_URI is not set .* run `make up` or set LENTA_MODEL_URI"):
        environment.require("LENTA_MODEL_URI", home)


def test_the_last_15_days_of_a_world_are_withheld(home: Home) -> None:
    source = Source.of_world("demo", 8, date(2026, 1, 31), None, home.world)
    assert source.until == datetime(2026, 1, 16, tzinfo=UTC)
    assert str(source) == "the demo world, seed 8 until 2026-01-16 00:00"


def test_nothing_of_a_folder_is_withheld_unless_asked_for(dump: Path) -> None:
    assert Source.of_folder(dump, None).until is None


def test_a_changed_file_makes_other_data(dump: Path) -> None:
    before = Source.of_folder(dump, None)
    assert Source.of_folder(dump, None) == before
    (dump / "feed_data.csv").write_text("xy")
    assert Source.of_folder(dump, None) != before


def test_a_changed_mapping_makes_other_data_and_is_told_to_later_commands(dump: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("feed_data: {file: feed_data.csv}\n")
    before = Source.of_folder(dump, None, mapping)
    assert environment.of_data(before)["LENTA_MAPPING"] == str(mapping)
    mapping.write_text("feed_data: {file: feed_data.csv, columns: {target: null}}\n")
    assert Source.of_folder(dump, None, mapping) != before


def test_a_folder_without_a_table_names_it(dump: Path) -> None:
    (dump / "feed_data.csv").unlink()
    with pytest.raises(LentaError, match="has no feed_data"):
        Source.of_folder(dump, None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="nowhere has no user_data"):
        Source.of_folder(tmp_path / "nowhere", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-12-15", datetime(2021, 12, 15, tzinfo=UTC)),
        ("2021-12-15 10:00", datetime(2021, 12, 15, 10, tzinfo=UTC)),
        ("2021-12-15T10:00:00+03:00", datetime(2021, 12, 15, 7, tzinfo=UTC)),
    ],
)
def test_a_time_without_zone_is_utc(text: str, expected: datetime) -> None:
    assert parse_time(text, "--until") == expected


def test_a_malformed_time_is_named() -> None:
    with pytest.raises(LentaError, match="--until=yesterday is not a time"):
        parse_time("yesterday", "--until")


def test_how_far_the_filling_came_is_kept(home: Home, dump: Path) -> None:
    assert Filled.read(home) is None
    filled = Filled(source=Source.of_folder(dump, None), imported=True, models={"control": "1"}).write(home)
    assert Filled.read(home) == filled


def test_a_platform_keeps_its_keys_and_gets_the_one_that_it_lacks(home: Home) -> None:
    environment.write(home, {"LENTA_API_KEY": "secret"})
    first = keys_of(home)
    assert first["LENTA_API_KEY"] == "secret"
    assert len(first["LENTA_ADMIN_KEY"]) >= 32
    assert len(first["LENTA_INTERNAL_KEY"]) >= 32
    environment.write(home, first)
    assert keys_of(home) == first


def test_services_never_see_the_port_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """GATEWAY_PORT has a service's prefix but is no setting of the service, which would refuse it."""
    monkeypatch.setenv("GATEWAY_PORT", "18000")
    monkeypatch.setenv("GATEWAY_LOG_LEVEL", "DEBUG")
    names = ("feature-service", "ingest", "ranker-control", "ranker-test", "gateway", "console")
    ports = {name: 18_000 + place for place, name in enumerate(names)}
    started = {each.name: each for each in services(ports, "p", "r", "m", "key", "admin", "between us")}
    gateway = started["gateway"]
    assert "GATEWAY_PORT" not in gateway.environment
    assert gateway.environment["GATEWAY_LOG_LEVEL"] == "DEBUG"
    assert gateway.environment["GATEWAY_API_KEYS"] == "key"
    assert gateway.environment["GATEWAY_ADMIN_KEYS"] == "admin"
    assert "GATEWAY_API_KEYS" not in os.environ
    told = [value for each in started.values() for name, value in each.environment.items() if "INTERNAL_KEY" in name]
    assert told == ["between us"] * 5
