"""Statements that are too long for a line of Python: `sql/<name>.sql` beside the module that runs them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.types import TypeEngine


def read_sql(package: str, name: str) -> str:
    """As the file has it: parameters are `:name`, as psql's variables are."""
    return files(package).joinpath("sql", f"{name}.sql").read_text("utf-8")


def query(package: str, name: str, **types: TypeEngine[Any]) -> TextClause:
    """types: of the parameters whose values don't say it themselves."""
    return text(read_sql(package, name)).bindparams(*(bindparam(key, type_=kind) for key, kind in types.items()))
