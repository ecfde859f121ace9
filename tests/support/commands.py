"""`lenta` called in this process."""

from __future__ import annotations

from pipeline.cli import app
from pipeline.errors import LentaError
from typer.testing import CliRunner, Result


class Commands:
    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        if result.exception:
            raise result.exception
        return result.output

    def refuses(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert isinstance(result.exception, LentaError), result.output
        return str(result.exception)
