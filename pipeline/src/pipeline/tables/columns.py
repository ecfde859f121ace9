"""What the tables' columns mean, in words: for `lenta import --help` and for docs/your-data.md."""

from __future__ import annotations

from pipeline.tables.formats import FORMATS, Column, TableFormat


def as_markdown(table: TableFormat) -> str:
    """The table of its columns, as the documentation shows it."""
    head = "| column | values | may be missing | what it says |\n|---|---|---|---|\n"
    return head + "".join(
        f"| {_named(column, '`')} | {column.what} | {'no' if column.required else 'yes'} | {column.meaning} |\n"
        for column in table.columns
    )


def for_terminal() -> str:
    """A paragraph a column, in rich's markup."""
    return "\n\n".join(line for table in FORMATS for line in _lines(table))


def _lines(table: TableFormat) -> list[str]:
    return [
        f"[bold]{table.name}[/bold]: {table.meaning}",
        *(
            f"  {_named(column)}: {column.what}{'' if column.required else ', may be missing'}; {column.meaning}"
            for column in table.columns
        ),
    ]


def _named(column: Column, mark: str = "") -> str:
    return " or ".join(f"{mark}{name}{mark}" for name in (column.name, *column.aliases))
