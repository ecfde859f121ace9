"""`lenta simulate` says what it wrote and what comes next, and never writes over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from pipeline.errors import LentaError
from pipeline.world.commands import register
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return app


def _simulate(app: typer.Typer, out: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["simulate", "--world", "tiny", "--out", str(out), *options])
    if result.exception:
        raise result.exception
    return result.output


def test_a_world_is_written_and_the_next_step_is_named(app: typer.Typer, tmp_path: Path) -> None:
    said = _simulate(app, tmp_path / "world", "--end", "2026-11-09")
    assert "300 users, 200 posts" in said
    assert "Next:" in said
    assert sorted(path.name for path in (tmp_path / "world").iterdir()) == [
        "feed_data.parquet",
        "post_text_df.parquet",
        "truth",
        "user_data.parquet",
    ]


def test_a_folder_that_holds_something_is_kept_unless_it_is_forced(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LentaError, match="is not empty"):
        _simulate(app, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    _simulate(app, tmp_path, "--force")
    assert not (tmp_path / "mine.txt").exists()


def test_a_day_that_is_none_is_refused_before_anything_is_written(app: typer.Typer, tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="--end=tomorrow is not a day"):
        _simulate(app, tmp_path / "world", "--end", "tomorrow")
    assert not (tmp_path / "world").exists()
