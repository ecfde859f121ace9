"""What is summed up of the comparison with peers, and its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.beside.page import page
from tests.benchmarks.beside.rounds import CONNECTIONS, Facts, Record, Round
from tests.benchmarks.beside.table import COLUMNS, lines

TASK = "100 rows"
RATES = {"Feast, 100 rows": (2.0, 4.0, 5.0), "Lenta's catalogue": (100.0, 400.0, 300.0)}
"""A second, by connections."""


def _round(number: int, side: str, connections: int, rate: float) -> Round:
    return Round(number, TASK, side, connections, rate, p50=1.5, p99=20.0 * connections, other=0.0)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Three rounds; in the second everything takes twice as long, in the third Lenta alone."""
    record = Record(tmp_path)
    for number, (theirs, ours) in enumerate(((1.0, 1.0), (0.5, 0.5), (1.0, 0.5))):
        slower = {side: theirs if side.startswith("Feast") else ours for side in RATES}
        record.add(
            [
                _round(number, side, count, slower[side] * rate)
                for side, rates in RATES.items()
                for count, rate in zip(CONNECTIONS, rates, strict=True)
            ]
        )
    record.errors = {"BentoML": "does not install: no <wheel>"}
    record.know(
        [
            Facts("Feast, 100 rows", 2.0, 200.0, 800.0, 100, "JSON"),
            Facts("Lenta's catalogue", None, 60.0, None, 1_000, "packed"),
        ]
    )
    return record


def test_ratios_are_of_rows_in_the_same_round_each_side_where_it_gives_most(record: Record) -> None:
    at_most = 400 * 1_000 / (5 * 100)
    assert record.times(TASK, "Feast, 100 rows") == (at_most, at_most / 2, at_most)
    assert record.times(TASK, "Lenta's catalogue") == (1.0, 1.0, 1.0)


def test_within_a_budget_count_the_connections_that_keep_it(record: Record) -> None:
    assert record.most(TASK, "Lenta's catalogue", 50.0) == 50.0
    assert record.most(TASK, "Lenta's catalogue", 300.0) == 200.0
    assert record.most(TASK, "Lenta's catalogue", 10.0) == 0.0


def test_a_run_goes_on_after_its_last_whole_round(record: Record, tmp_path: Path) -> None:
    again = Record(tmp_path)
    assert (again.done, again.rounds, again.facts, again.errors) == (3, record.rounds, record.facts, record.errors)
    again.forget()
    assert Record(tmp_path).done == 0


def test_the_table_has_a_line_for_each_side_and_lentas_is_the_last(record: Record) -> None:
    first, last = lines(record)
    assert len(first) == len(last) == len(COLUMNS)
    assert first[:2] == (TASK, "Feast, 100 rows")
    assert last[:2] == (TASK, "Lenta's catalogue")
    assert ("800.0 (400.0 to 800.0)" in first, "200" in first, "800" in first) == (True, True, True)


def test_the_page_stands_alone_and_says_who_could_not_be_measured(record: Record) -> None:
    html = page(record)
    assert re.findall(r"""(?:src|href)=["']?(?=[^"'#])|@import|url\((?!#)""", html) == []
    for word in ("Feast, 100 rows", "Lenta&#x27;s catalogue", "no &lt;wheel&gt;", "<svg"):
        assert word in html
