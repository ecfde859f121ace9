"""docker-compose.yml and the Dockerfile, as far as they can be judged without an engine."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml
from pipeline.stack.binaries import redis_program
from pipeline.stack.servers import free_port

from tests.support.checkout import ROOT
from tests.support.platforms.gateway_stage import until

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PLATFORM = {name: service for name, service in SERVICES.items() if "profiles" not in service}
ONE_SHOTS = {"load", "train", "warm"}
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text()
LIMITS = {"ranker-control": "384m", "ranker-test": "384m", "gateway": "192m", "feature-service": "192m"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_bounded_and_hardened(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in {"root", "0", "0:0"}
    assert "ulimits" not in service, "not every engine may raise them"


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_are_those_that_are_promised(name: str) -> None:
    assert SERVICES[name]["mem_limit"] == LIMITS[name]


def test_only_gateway_and_console_are_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in PLATFORM.items() if "ports" in service}
    assert published.keys() == {"gateway", "console"}
    for ports in published.values():
        assert all(port.startswith("${LENTA_LISTEN:-127.0.0.1}:") for port in ports)


def test_whoever_opens_a_store_is_told_where_the_platform_is_published() -> None:
    """And refuses passwords that everybody knows where that is not on loopback."""
    opens = {name: service["environment"] for name, service in SERVICES.items() if "redis://" in str(service)}
    assert {"feature-service", "ingest", "warm", "load"} <= opens.keys()
    assert {told["FEATURES_LISTEN"] for told in opens.values()} == {"${LENTA_LISTEN:-127.0.0.1}"}


def test_stores_and_rankers_are_on_the_inner_network_alone() -> None:
    assert COMPOSE["networks"]["inner"]["internal"] is True
    outside = {name for name, service in PLATFORM.items() if service["networks"] != ["inner"]}
    assert outside == {"gateway", "console"}


def test_somebody_waits_for_every_one_shot_else_waiting_for_the_platform_fails() -> None:
    awaited = {
        name
        for service in PLATFORM.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert awaited == ONE_SHOTS


def test_whatever_goes_on_running_is_checked() -> None:
    for name in PLATFORM.keys() - ONE_SHOTS:
        stage = DOCKERFILE.partition(f"FROM runtime AS {name}\n")[2].partition("FROM ")[0]
        assert "healthcheck" in SERVICES[name] or "HEALTHCHECK" in stage, name


def test_nothing_that_trains_or_serves_can_read_the_simulated_worlds_truth() -> None:
    mounting = {
        name for name, service in PLATFORM.items() if any("world:" in mount for mount in service.get("volumes", []))
    }
    assert mounting == {"load"}


def test_every_target_is_built_from_the_one_dockerfile() -> None:
    built = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    for target in built:
        assert f"FROM runtime AS {target}\n" in DOCKERFILE
        assert (ROOT / f"requirements/{target}.txt").exists()
    assert built == set(re.findall(r"FROM runtime AS (\S+)", DOCKERFILE))


def test_the_dockerfile_needs_no_frontend_of_its_own() -> None:
    """It builds with any builder, without asking a registry for a syntax."""
    assert "# syntax" not in DOCKERFILE
    assert "--mount" not in DOCKERFILE
    assert "USER 10001:10001" in DOCKERFILE


def test_prometheus_asks_every_service_on_its_port_for_metrics_alone() -> None:
    config = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    targets = {target for group in job["static_configs"] for target in group["targets"]}
    serving = {name for name, _ in re.findall(r"FROM runtime AS (\S+)\nEXPOSE (\d+)", DOCKERFILE)}
    assert targets == {f"{name}:9000" for name in serving} | {"ingest:8011"}
    for name in serving:
        told = {variable: value for variable, value in SERVICES[name]["environment"].items() if "METRICS" in variable}
        assert list(told.values()) == ["0.0.0.0:9000"]
    assert {target.split(":")[0] for target in targets} <= SERVICES.keys()


def test_the_password_of_redis_is_in_a_file_and_in_no_argument(tmp_path: Path) -> None:
    """The command of the container, run here."""
    words = [word.replace("$$", "$") for word in SERVICES["redis"]["command"]]
    assert not any("REDIS_PASSWORD" in word for word in words)
    port = free_port()
    here = {"redis-server": str(redis_program()), "/etc/redis/lenta.conf": str(ROOT / "infra/redis/redis.conf")}
    here |= {"/data": str(tmp_path), "0.0.0.0": "127.0.0.1"}
    command = [here.get(word, word.replace("/tmp/", f"{tmp_path}/")) for word in words]
    environment = {**os.environ, "REDISCLI_AUTH": "s3cret-word"}
    with subprocess.Popen([*command, "--port", str(port)], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            with redis.Redis(port=port, password="s3cret-word") as client:
                until(lambda: _answers(client))
                assert client.config_get("appendfsync")["appendfsync"] == "always"
            with redis.Redis(port=port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
                stranger.ping()
            assert "s3cret-word" not in " ".join(psutil.Process(server.pid).cmdline())
            assert stat.S_IMODE((tmp_path / "password.conf").stat().st_mode) == 0o600
        finally:
            server.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


def test_a_third_ranker_is_as_bounded_and_hardened_as_the_second() -> None:
    more = yaml.safe_load((ROOT / "infra/compose/challenger.yml").read_text())["services"]
    third, second = more.pop("ranker-challenger"), SERVICES["ranker-test"]
    different = {"build", "environment", "depends_on"}
    assert {name: third[name] for name in third if name not in different} == {
        name: second[name] for name in second if name not in different
    }
    assert third["environment"] == second["environment"] | {"RANKER_MODEL_URI": "/var/lib/lenta/models/challenger"}
    assert more["gateway"]["environment"] == {"GATEWAY_MORE_RANKERS": "challenger=http://ranker-challenger:8003"}
    watched = SERVICES["console"]["environment"]["CONSOLE_SERVICES"]
    assert more["console"]["environment"]["CONSOLE_SERVICES"].startswith(watched)
