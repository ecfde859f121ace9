"""Makes the next release: versions, changelog and image tags in one commit, and a tag.

    make release VERSION=0.3.0           changes the files, commits, tags v0.3.0; pushes nothing
    make release VERSION=0.3.0 DRY=1     prints the change and leaves everything as it is

Refused: a version that is not higher, an empty "Unreleased" in CHANGELOG.md, members of different versions, and (unless
dry) a tree with changes of its own.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
OF_MEMBER = re.compile(r'^version = "(.+)"$', re.MULTILINE)
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """Why there is no release; says what to do."""


def members(root: Path) -> list[Path]:
    """The pyproject files that carry the version: one a package."""
    return sorted(
        [*root.glob("*/pyproject.toml"), *root.glob("libs/*/pyproject.toml"), *root.glob("clients/*/pyproject.toml")]
    )


def current_version(root: Path) -> str:
    versions = {}
    for path in members(root):
        if (match := OF_MEMBER.search(path.read_text())) is None:
            raise ReleaseError(f"{path.relative_to(root)} has no line: version = ...")
        versions[str(path.relative_to(root))] = match[1]
    if len(set(versions.values())) != 1:
        raise ReleaseError(f"the packages have different versions: {versions}")
    return next(iter(versions.values()))


def check_version(version: str, current: str) -> None:
    if VERSION.fullmatch(version) is None:
        raise ReleaseError(f"VERSION={version!r} is not like 1.2.3")
    if _numbers(version) <= _numbers(current):
        raise ReleaseError(f"VERSION={version} is not above the present one, {current}")


def released_changelog(text: str, version: str, date: str) -> str:
    """What was unreleased becomes the version's own section, below an empty one."""
    _, separator, rest = text.partition(UNRELEASED)
    if not separator:
        raise ReleaseError(f"CHANGELOG.md has no section {UNRELEASED.strip()!r}")
    if not re.sub(r"^#.*$", "", rest.partition("\n## ")[0], flags=re.MULTILINE).strip():
        raise ReleaseError("CHANGELOG.md: nothing stands under Unreleased, so there is nothing to release")
    return text.replace(UNRELEASED, f"{UNRELEASED}\n## {version} ({date})\n", 1)


def changes(root: Path, version: str, date: str) -> dict[Path, str]:
    """By file, its text at the new version."""
    current = current_version(root)
    check_version(version, current)
    changelog, images = root / "CHANGELOG.md", root / "k8s/base/kustomization.yaml"
    tagged = images.read_text()
    if f"newTag: {current}}}" not in tagged:
        raise ReleaseError(f"{images.relative_to(root)} has no image of {current}")
    return {
        **{path: OF_MEMBER.sub(f'version = "{version}"', path.read_text(), count=1) for path in members(root)},
        images: tagged.replace(f"newTag: {current}}}", f"newTag: {version}}}"),
        changelog: released_changelog(changelog.read_text(), version, date),
    }


def diff(root: Path, texts: dict[Path, str]) -> str:
    lines: list[str] = []
    for path, text in texts.items():
        name = str(path.relative_to(root))
        lines += difflib.unified_diff(
            path.read_text().splitlines(keepends=True), text.splitlines(keepends=True), f"a/{name}", f"b/{name}"
        )
    return "".join(lines)


def commit(root: Path, texts: dict[Path, str], version: str) -> None:
    for path, text in texts.items():
        path.write_text(text)
    _git(root, "add", *(str(path) for path in texts))
    _git(root, "commit", "--quiet", "--message", f"Release {version}")
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"Lenta {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        raise ReleaseError(f"git {arguments[0]}: {error.stderr.strip() or error.stdout.strip()}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the next release.")
    parser.add_argument("version", help="like 0.3.0")
    parser.add_argument("--dry", action="store_true", help="print the change, change nothing")
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="of the release, in the changelog")
    options = parser.parse_args()
    try:
        root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").strip())
        texts = changes(root, options.version, options.date)
        if options.dry:
            print(diff(root, texts), end="")
            return
        if _git(root, "status", "--porcelain"):
            raise ReleaseError("the tree has changes that are not committed; commit or stash them first")
        commit(root, texts, options.version)
    except ReleaseError as error:
        sys.exit(f"release: {error}")
    print(
        f"Released {options.version}. Next: git push --follow-tags, then build and push the images (docs/operations.md)."
    )


if __name__ == "__main__":
    main()
