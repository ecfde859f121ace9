"""A feature is added in the places that CONTRIBUTING.md names and nowhere else: here in a copy of the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contracts.features import SCHEMA, schema_id

from tests.support.checkout import ROOT

FEATURES = "libs/contracts/src/contracts/features.py"
CATALOGUE = "libs/contracts/src/contracts/catalogue.py"
COUNTERS = "pipeline/src/pipeline/dataset/counters.py"
GOLDEN = "tests/contract/test_records.py"
PACKAGES = ("libs/contracts/src", "libs/ranking/src", "pipeline/src")

NEWEST = '''    @cached_property
    def topic_newest(self) -> Totals:
        """When the topic's newest post was first seen."""
        newest = np.zeros(len(self.topics), np.int64)
        np.maximum.at(newest, self.topic, self.first_view_at)
        return newest

'''
ADDED = [
    (FEATURES, "    topic_first_views: Array\n", "    topic_newest: Array\n"),
    (
        FEATURES,
        '    "post_own_rate": lambda p, odds: odds.post_own,\n',
        '    "topic_freshness": lambda p, odds: _of_row(p, _days_since(p.topic_newest, p.counted_until, 45.0)),\n',
    ),
    (
        CATALOGUE,
        "        return np.bincount(self.topic, self.first_view_at, len(self.topics)).astype(np.int64)\n\n",
        NEWEST,
    ),
    (COUNTERS, "CAST(count(*) AS DOUBLE) AS posts,\n", "            max(first_view) AS newest,\n"),
    (COUNTERS, '_before_ticks("topic", "first_ticks", ', 'newest="max", '),
    (COUNTERS, '{count("fi.posts", "topic_posts")}, ', '{time("fi.newest", "topic_newest")}, '),
]
"""In which file, behind what, and what comes there: a feature that needs a count which nobody has made yet."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, behind, more in ADDED:
        text = (folder / file).read_text()
        assert text.count(behind) == 1, f"{file} has no single place behind {behind!r}"
        (folder / file).write_text(text.replace(behind, behind + more))
    return folder


def both_sides(sources: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*(str(sources / package) for package in PACKAGES), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "tests.support.data.both_sides", str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_a_feature_added_in_those_places_is_the_same_in_training_and_in_serving(copy: Path, tmp_path: Path) -> None:
    done = both_sides(copy, tmp_path)
    assert done.returncode == 0, done.stderr
    schema: dict[str, Any] = json.loads(done.stdout)
    assert list(schema["values"]) == [*SCHEMA, "topic_freshness"]
    assert schema["values"]["topic_freshness"] > 3
    assert schema["before"] == schema_id(), "models of the schema before it are not served any more"
    assert schema["now"] != schema_id()


def test_a_count_that_only_one_side_has_is_missed(copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy, tmp_path / "sources")
    file = tmp_path / "sources" / COUNTERS
    file.write_text(file.read_text().replace('newest="max"', 'newest="min"'))
    done = both_sides(tmp_path / "sources", tmp_path)
    assert done.returncode == 1
    assert "topic_freshness" in done.stderr


def test_contributing_names_those_places() -> None:
    adding = (ROOT / "CONTRIBUTING.md").read_text().split("**A feature**")[1].split("**A setting**")[0]
    for file in {*(file for file, _, _ in ADDED), GOLDEN}:
        assert f"`{file}`" in adding
