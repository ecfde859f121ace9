"""The packages as wheels: everything that a checkout has beside its Python is in them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

MEMBERS = {
    path.parent.relative_to(ROOT): path
    for path in (
        *ROOT.glob("*/pyproject.toml"),
        *ROOT.glob("libs/*/pyproject.toml"),
        ROOT / "clients/python/pyproject.toml",
    )
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "build", "-q", "--all-packages", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", str(folder)], cwd=ROOT, check=True)
    return folder


def test_every_member_is_a_wheel_that_holds_what_is_tracked(wheels: Path) -> None:
    packed = {}
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            packed[wheel.name.split("-")[0]] = {
                name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name
            }
    assert len(packed) == len(MEMBERS) >= 11
    assert {name: content for files in packed.values() for name, content in files.items()} == {
        str(path.relative_to(ROOT / member / "src")): path.read_bytes()
        for member in MEMBERS
        for path in _tracked(ROOT / member / "src")
    }


def test_what_is_installed_of_them_alone_runs(wheels: Path, tmp_path: Path) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    install = [
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        sys.executable,
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
    ]
    subprocess.run([*install, *wheels.glob("*.whl")], check=True)
    look = "import pipeline.home as home, pipeline.stack.servers as servers; from importlib.metadata import version;"
    look += (
        "print(home.__file__, servers.REDIS_CONF.read_bytes() != b'', home.Home.find().root, version('lenta-pipeline'))"
    )
    environment = {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run([sys.executable, "-c", look], env=environment, check=True, capture_output=True, text=True)
    place, has_settings, root, _ = said.stdout.split()
    assert (place, has_settings, root) == (f"{tmp_path}/pipeline/home.py", "True", f"{tmp_path}/home/.lenta")


def _tracked(folder: Path) -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [folder / name for name in names.split("\0") if name]
