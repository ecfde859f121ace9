"""The notebooks run from top to bottom on a small world, draw what they promise, and are stored without outputs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from pipeline.dataset import Tables, opened
from pipeline.notebooks import embeddings, figures, queries
from pipeline.notebooks.folder import tables_folder
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of

from tests.support.checkout import ROOT
from tests.support.data.small_feed import Row, write_tables

NOTEBOOKS = ROOT / "notebooks"
END = date(2026, 11, 24)
PICTURES = {"eda": 7, "post-embeddings": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate(spec_of("tiny"), 3, END, folder)
    return folder


@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_tells_its_story_in_pictures(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTA_DATA", str(folder))
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[name]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]


def test_every_view_is_counted_once_by_each_question(folder: Path) -> None:
    with opened(Tables.of_folder(folder)) as feed:
        for counts in (
            *(queries.by_user(feed), queries.by_post(feed), queries.by_topic(feed), queries.by_hour(feed)),
            *(queries.by_age_and_topic(feed), queries.by_place(feed, places=10_000)),
        ):
            assert counts["views"].sum() == feed.views
        assert queries.by_week(feed)["views"].sum() <= feed.views


def test_sub_themes_lie_within_their_topics_and_likes_follow_the_text(folder: Path) -> None:
    with opened(Tables.of_folder(folder)) as feed:
        vectors = embeddings.text_vectors(feed)
        themes = embeddings.themes_of(feed, vectors)
        named = themes.of_post >= 0
        assert (themes.topic[themes.of_post[named]] == feed.posts.topic[named]).all()
        tenths = embeddings.likes_by_similarity(vectors, embeddings.examples_of(feed))
        rate = tenths["likes"] / tenths["views"] / tenths["expected"]
        assert rate.tail(3).mean() > rate.head(3).mean() + 0.1


def test_figures_of_a_feed_with_hardly_anything_in_it_are_drawn(tmp_path: Path) -> None:
    rows = [Row(60.0 * n, 200 + n % 2, 1 + n % 3, "view", int(n == 3)) for n in range(9)]
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 3))) as feed:
        drawn = [
            figures.people_figure(queries.people(feed)),
            figures.activity_figure(queries.by_user(feed), queries.by_post(feed)),
            figures.topics_figure(queries.by_topic(feed)),
            figures.moment_figure(queries.by_place(feed), queries.by_hour(feed)),
            figures.taste_by_age_figure(queries.by_age_and_topic(feed)),
            figures.profile_figure(queries.by_profile(feed)),
            figures.drift_figure(queries.by_week(feed), queries.by_post_age(feed)),
        ]
    for figure in drawn:
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / "drawn.png")


def test_without_tables_a_world_is_simulated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENTA_DATA", raising=False)
    monkeypatch.setenv("LENTA_HOME", str(tmp_path))
    first = tables_folder(END)
    written = (first / "feed_data.parquet").stat().st_mtime_ns
    assert tables_folder(END) == first
    assert (first / "feed_data.parquet").stat().st_mtime_ns == written
