"""A release, made in a clone: everything that carries the version changes together, or nothing does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

RELEASE = ROOT / "infra/release/release.py"
DATE = "2030-01-31"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Of this checkout as it is committed, with something unreleased."""
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    _git(clone, "config", "user.email", "release@example.org")
    _git(clone, "config", "user.name", "Release")
    text = (clone / "CHANGELOG.md").read_text()
    before, _, after = text.partition("## Unreleased\n")
    (clone / "CHANGELOG.md").write_text(f"{before}## Unreleased\n\n- Something new.\n{after}")
    _git(clone, "commit", "--quiet", "--all", "--message", "Something new")
    return clone


def test_a_dry_release_prints_the_change_and_leaves_everything_as_it_is(clone: Path) -> None:
    release = _release(clone, "99.0.0", "--dry")
    assert release.returncode == 0
    assert '+version = "99.0.0"' in release.stdout
    assert f"+## 99.0.0 ({DATE})" in release.stdout
    assert "+  - {name: lenta/gateway, newTag: 99.0.0}" in release.stdout
    assert _git(clone, "status", "--porcelain") == ""
    assert "v99.0.0" not in _git(clone, "tag")


def test_a_release_gives_every_package_image_and_the_changelog_one_version_and_tags_it(clone: Path) -> None:
    release = _release(clone, "99.0.0")
    assert release.returncode == 0, release.stderr
    assert "Next: git push --follow-tags" in release.stdout
    pyprojects = [
        *clone.glob("*/pyproject.toml"),
        *clone.glob("libs/*/pyproject.toml"),
        *clone.glob("clients/*/pyproject.toml"),
    ]
    assert len(pyprojects) == 11
    assert all('\nversion = "99.0.0"\n' in path.read_text() for path in pyprojects)
    assert (clone / "k8s/base/kustomization.yaml").read_text().count("newTag: 99.0.0}") == 5
    changelog = (clone / "CHANGELOG.md").read_text()
    assert f"## Unreleased\n\n## 99.0.0 ({DATE})\n\n- Something new." in changelog
    assert _git(clone, "status", "--porcelain") == ""
    assert _git(clone, "describe", "--exact-match").strip() == "v99.0.0"


def test_a_second_release_without_news_is_refused(clone: Path) -> None:
    assert _release(clone, "99.0.0").returncode == 0
    refused = _release(clone, "99.0.1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "nothing stands under Unreleased" in refused.stderr


@pytest.mark.parametrize("version", ["0.0.1", "0.1.0", "1.0", "v2.0.0", "2.0.0rc1", ""])
def test_a_version_that_is_none_or_not_higher_is_refused(clone: Path, version: str) -> None:
    refused = _release(clone, version)
    assert refused.returncode == 1
    assert f"VERSION={version}" in refused.stderr.replace("'", "")
    assert _git(clone, "status", "--porcelain") == ""


def test_changes_that_are_not_committed_do_not_slip_into_a_release(clone: Path) -> None:
    (clone / "README.md").write_text("half done")
    refused = _release(clone, "99.0.0")
    assert "not committed" in refused.stderr
    assert _git(clone, "status", "--porcelain") == " M README.md\n"


def test_packages_of_different_versions_are_named(clone: Path) -> None:
    path = clone / "gateway/pyproject.toml"
    path.write_text(path.read_text().replace('version = "', 'version = "7', 1))
    refused = _release(clone, "99.0.0", "--dry")
    assert "different versions" in refused.stderr
    assert "gateway/pyproject.toml" in refused.stderr


def _release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RELEASE), "--date", DATE, *arguments]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_bill_of_materials_names_what_the_lock_does_with_its_hashes(tmp_path: Path) -> None:
    subprocess.run([ROOT / "infra/release/sbom", tmp_path, "gateway"], check=True, timeout=60)
    bill = json.loads((tmp_path / "gateway.json").read_text())
    lock = (ROOT / "requirements/gateway.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", lock, re.MULTILINE))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "lenta-gateway"
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
    assert all(part["externalReferences"][0]["hashes"] for part in bill["components"])
