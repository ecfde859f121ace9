"""The page about the three tables and `lenta import --help` name every column as the import reads it."""

from __future__ import annotations

import re

import pytest
from pipeline.tables.columns import as_markdown
from pipeline.tables.formats import FORMATS, Column, TableFormat

from tests.support.checkout import ROOT
from tests.support.commands import Commands

PAGE = (ROOT / "docs/your-data.md").read_text()
COLUMNS = [(table, column) for table in FORMATS for column in table.columns]


@pytest.mark.parametrize("table", FORMATS, ids=lambda table: table.name)
def test_the_page_shows_the_columns_that_the_import_reads(table: TableFormat) -> None:
    """Where it fails: copy what is expected into the page."""
    (section,) = re.findall(rf"^### {table.name}\n(.*?)(?=^#|\nIds are)", PAGE, re.MULTILINE | re.DOTALL)
    said, _, columns = section.strip().partition("\n\n")
    assert said == f"{table.meaning[0].upper()}{table.meaning[1:]}."
    assert columns.strip() == as_markdown(table).strip()


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda part: part.name)
def test_the_help_says_what_a_column_may_hold(table: TableFormat, column: Column) -> None:
    said = " ".join(Commands().ok("import", "--help").split())
    wanted = f"{column.what}{'' if column.required else ', may be missing'}; {column.meaning}"
    assert wanted in said.partition(f"{table.name}: {table.meaning} ")[2]
