"""`lenta simulate` says what it wrote and what comes next, and never writes over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from pipeline.commands.simulate import register
from pipeline.errors import LentaError
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


def test_force_replaces_a_simulated_world_through_a_link_too(app: typer.Typer, tmp_path: Path) -> None:
    world, link = tmp_path / "world", tmp_path / "link"
    _simulate(app, world, "--end", "2026-11-09")
    link.symlink_to(world)
    before = (world / "feed_data.parquet").read_bytes()
    for folder in (world, link):
        with pytest.raises(LentaError, match="is not empty"):
            _simulate(app, folder, "--end", "2026-11-10")
    assert (world / "feed_data.parquet").read_bytes() == before
    _simulate(app, link, "--end", "2026-11-10", "--force")
    assert (world / "feed_data.parquet").read_bytes() != before


@pytest.mark.parametrize("name", ["mine.txt", "truth/mine.txt", "feed_data/2026.parquet"])
def test_force_keeps_whatever_simulate_did_not_write(app: typer.Typer, tmp_path: Path, name: str) -> None:
    _simulate(app, tmp_path)
    mine = tmp_path / name
    if mine.parent.is_file():
        mine.parent.unlink()
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(LentaError, match="holds something else"):
        _simulate(app, tmp_path, "--force")
    assert mine.read_text() == "mine"
    assert (tmp_path / "truth" / "truth.npz").exists()


def test_force_keeps_tables_without_a_truth(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "feed_data.parquet").write_text("mine")
    with pytest.raises(LentaError, match="holds something else"):
        _simulate(app, tmp_path, "--force")
    assert (tmp_path / "feed_data.parquet").read_text() == "mine"


def test_a_place_that_can_be_no_folder_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    file, nothing = tmp_path / "file", tmp_path / "link"
    file.write_text("mine")
    nothing.symlink_to(tmp_path / "nowhere")
    for out in (file, file / "below", nothing):
        with pytest.raises(LentaError, match=f"--out {out} cannot be written"):
            _simulate(app, out, "--force")
    assert file.read_text() == "mine"


def test_options_are_read_before_anything_is_replaced(app: typer.Typer, tmp_path: Path) -> None:
    _simulate(app, tmp_path)
    options = ("--out", str(tmp_path), "--force")
    seed = CliRunner().invoke(app, ["simulate", "--world", "tiny", "--seed", "-1", *options])
    assert seed.exit_code == 2
    assert "greater than or equal to 0" in seed.output
    assert isinstance(CliRunner().invoke(app, ["simulate", "--world", "none", *options]).exception, LentaError)
    assert (tmp_path / "feed_data.parquet").exists()


def test_a_day_that_is_none_is_refused_before_anything_is_written(app: typer.Typer, tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="--end=tomorrow is not a day"):
        _simulate(app, tmp_path / "world", "--end", "tomorrow")
    with pytest.raises(LentaError, match="--end=1969-01-01 is too early; name a day from 1971 on"):
        _simulate(app, tmp_path / "world", "--end", "1969-01-01")
    assert not (tmp_path / "world").exists()
