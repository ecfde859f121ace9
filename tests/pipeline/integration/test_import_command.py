"""`lenta import` reports what it read and what it left out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import typer
from pipeline.commands.import_tables import register
from pipeline.world.simulation import simulate
from pipeline.world.spec import WorldSpec
from typer.testing import CliRunner


def test_a_simulated_world_is_imported_until_a_time(tmp_path: Path, postgres_url: str) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    summary = simulate(WorldSpec("tiny", 60, 50), 3, date(2026, 11, 9), tmp_path)
    result = CliRunner().invoke(
        app,
        ["import", str(tmp_path), "--postgres-url", postgres_url, "--until", "2026-10-25"],
        env={"COLUMNS": "200"},
    )
    assert result.exit_code == 0, result.output
    told = {line.split("  ")[0].strip(): line for line in result.output.splitlines() if "  " in line}
    withheld = int(told["withheld by --until"].split()[-1].replace(",", ""))
    loaded = int(told["feed rows"].split("feed rows")[1].split()[0].strip(",").replace(",", ""))
    duplicates = int(told["exact duplicates left out"].split()[-1].replace(",", ""))
    assert withheld > 0
    assert loaded + withheld + duplicates == summary.rows
    assert "2026-10-24" in told["feed rows"]
    assert "Next:" in result.output
