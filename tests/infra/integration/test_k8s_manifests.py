"""Every manifest, as kustomize renders it: valid for Kubernetes, hardened, bounded, and with nothing left dangling."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from tests.support.checkout import ROOT

KUBECTL = Path(sys.executable).with_name("kubectl")
VERSION = "1.34"
FOLDERS = ("base", "overlays/local", "overlays/challenger")
WEB = {
    "gateway": 8000,
    "feature-service": 8001,
    "ranker-control": 8002,
    "ranker-test": 8003,
    "console": 8090,
}
METRICS = 9000
Manifest = dict[str, Any]


@cache
def rendered(folder: str) -> list[Manifest]:
    done = subprocess.run(
        [KUBECTL, "kustomize", str(ROOT / "k8s" / folder)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(folder: str, kind: str) -> dict[str, Manifest]:
    return {result["metadata"]["name"]: result for result in rendered(folder) if result["kind"] == kind}


def pods(folder: str) -> Iterator[tuple[str, Manifest]]:
    for result in rendered(folder):
        if "template" in result.get("spec", {}):
            yield f"{result['kind']}/{result['metadata']['name']}", result["spec"]["template"]


def containers(folder: str) -> Iterator[tuple[str, Manifest]]:
    for name, pod in pods(folder):
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            yield f"{name}/{container['name']}", container


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_is_valid_without_unknown_fields(folder: str) -> None:
    for manifest in rendered(folder):
        validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_is_hardened(folder: str) -> None:
    for name, pod in pods(folder):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["automountServiceAccountToken"] is False, name


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_container_is_hardened_and_bounded(folder: str) -> None:
    for name, container in containers(folder):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert "memory" in container["resources"]["limits"], name
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        assert ":" in container["image"], f"{name} has no tag"
        assert not container["image"].endswith(":latest"), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_variable_of_a_neighbour_reaches_a_service_that_refuses_unknown_ones(folder: str) -> None:
    """Kubernetes would put GATEWAY_PORT and the like into every pod."""
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in pods(folder))


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_goes_on_running_is_probed(folder: str) -> None:
    for kind in ("Deployment", "StatefulSet"):
        for name, result in of_kind(folder, kind).items():
            for container in result["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys(), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_readiness_asks_readyz_and_liveness_does_not(folder: str) -> None:
    deployments = of_kind(folder, "Deployment")
    for name in WEB:
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


@pytest.mark.parametrize("folder", FOLDERS)
def test_services_answer_on_the_ports_that_their_callers_use(folder: str) -> None:
    deployments, services = of_kind(folder, "Deployment"), of_kind(folder, "Service")
    for name, port in WEB.items():
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        assert [opened["containerPort"] for opened in container["ports"]] == [port, METRICS]
        assert [opened["port"] for opened in services[name]["spec"]["ports"]] == [port]
        assert (
            services[name]["spec"]["selector"].items()
            <= deployments[name]["spec"]["template"]["metadata"]["labels"].items()
        )
    for name, container in containers(folder):
        for variable in container.get("env", []):
            if variable.get("value", "").startswith("http://"):
                host, port_text = variable["value"].removeprefix("http://").split(":")
                assert WEB[host] == int(port_text), f"{name}: {variable['name']}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_gateway_and_rankers_scale_and_survive_a_drain(folder: str) -> None:
    scalers, budgets = of_kind(folder, "HorizontalPodAutoscaler"), of_kind(folder, "PodDisruptionBudget")
    for name in ("gateway", "ranker-control", "ranker-test"):
        assert scalers[name]["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind(folder, "Deployment")[name]["spec"], "the autoscaler decides"
        assert budgets[name]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == name


@pytest.mark.parametrize("folder", FOLDERS)
def test_whatever_runs_has_its_network_policy_and_may_ask_for_names(folder: str) -> None:
    policies = of_kind(folder, "NetworkPolicy")
    closed = policies["nothing-but-names"]["spec"]
    assert closed["podSelector"] == {}
    assert "ingress" not in closed
    for name, pod in pods(folder):
        labels = pod["metadata"]["labels"].items()
        assert any(
            policy["spec"]["podSelector"].get("matchLabels", {}).items() <= labels
            for policy_name, policy in policies.items()
            if policy_name not in {"nothing-but-names", "metrics"}
        ), name


def test_only_gateway_and_console_take_calls_from_outside() -> None:
    open_to_all = {
        name
        for name, policy in of_kind("base", "NetworkPolicy").items()
        for rule in policy["spec"].get("ingress", [])
        if "from" not in rule
    }
    assert open_to_all == {"gateway", "console"}


def test_who_watches_reaches_metrics_and_nothing_else() -> None:
    policies = of_kind("base", "NetworkPolicy")
    for name in ("metrics", "watched"):
        (rule,) = policies[name]["spec"]["ingress"]
        assert rule["ports"] == [{"port": METRICS}, {"port": 8011}], name
        assert all(place.get("namespaceSelector") != {} for place in rule["from"]), name
    watching = [rule["ports"] for rule in policies["console"]["spec"]["egress"] if len(rule["ports"]) > 1]
    assert watching == [[{"port": METRICS}, {"port": 8011}]]
    for name, service in of_kind("base", "Service").items():
        if name.endswith("-replicas") and name != "ingest-replicas":
            assert [opened["targetPort"] for opened in service["spec"]["ports"]] == ["metrics"], name


def test_the_base_names_the_jobs_for_migration_and_warm_up() -> None:
    assert of_kind("base", "Job").keys() == {"migrate", "warm"}
    assert of_kind("overlays/local", "Job").keys() == {"migrate", "fill"}


def test_the_base_holds_no_secret_and_the_overlay_brings_every_one_that_is_named() -> None:
    assert not of_kind("base", "Secret")
    have = {(name, key) for name, secret in of_kind("overlays/local", "Secret").items() for key in secret["data"]}
    named = {
        (reference["name"], reference["key"])
        for _, container in containers("overlays/local")
        for variable in container.get("env", [])
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef"))
        if not reference.get("optional")
    }
    assert named <= have
    assert named


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_volume_claim_and_account_that_a_pod_names_exists(folder: str) -> None:
    claims, accounts = of_kind(folder, "PersistentVolumeClaim"), of_kind(folder, "ServiceAccount")
    for name, pod in pods(folder):
        for volume in pod["spec"].get("volumes", []):
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {None, *claims}, name
        assert pod["spec"].get("serviceAccountName") in {None, *accounts}, name


def test_a_third_ranker_is_allowed_what_the_other_two_are() -> None:
    folder, policies = "overlays/challenger", of_kind("overlays/challenger", "NetworkPolicy")
    third = of_kind(folder, "Deployment")["ranker-challenger"]["spec"]["template"]["spec"]["containers"][0]
    second = of_kind(folder, "Deployment")["ranker-test"]["spec"]["template"]["spec"]["containers"][0]
    for same in ("image", "ports", "resources", "securityContext", "volumeMounts"):
        assert third[same] == second[same], same
    (gateway,) = of_kind(folder, "Deployment")["gateway"]["spec"]["template"]["spec"]["containers"]
    told = {variable["name"]: variable.get("value") for variable in gateway["env"]}
    assert told["GATEWAY_MORE_RANKERS"] == "challenger=http://ranker-challenger:8003"
    assert told["GATEWAY_TEST_URL"] == "http://ranker-test:8003"
    to = {"app.kubernetes.io/name": "ranker-challenger"}
    for name, way, port in (("gateway-to-challenger", "egress", 8003), ("console-to-challenger", "egress", METRICS)):
        (rule,) = policies[name]["spec"][way]
        assert (rule["to"], rule["ports"]) == ([{"podSelector": {"matchLabels": to}}], [{"port": port}])


def test_redis_keeps_what_an_acknowledged_event_rests_on() -> None:
    arguments = of_kind("overlays/local", "StatefulSet")["redis"]["spec"]["template"]["spec"]["containers"][0]["args"]
    for line in (ROOT / "infra/redis/redis.conf").read_text().splitlines()[1:4]:
        name, setting = line.split()
        assert arguments[arguments.index(f"--{name}") + 1] == setting
