"""The gateway's calls about experiments, rules and exposures, and its refusals in its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
from contracts.experiments import Edit, ExperimentPage
from contracts.headers import API_KEY
from contracts.reports import ExperimentLine, Reach, Report, RunLine
from contracts.rules import RulesEdit, RuleSet, RulesPage
from contracts.wire import Exposure, Problem
from pydantic import TypeAdapter, ValidationError

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.home import Home

READ_SECONDS = 15.0
"""A report over ten million exposures takes up to ten."""
Answer = TypeVar("Answer")
_lines, _runs = TypeAdapter(list[ExperimentLine]), TypeAdapter(list[RunLine])
_rule_sets = TypeAdapter(list[RuleSet])


@dataclass(frozen=True, slots=True)
class Experiments:
    """Every call raises LentaError with the gateway's reason."""

    http: httpx.Client

    def lines(self) -> list[ExperimentLine]:
        return self._read("/experiments", _lines.validate_json)

    def page(self, name: str) -> ExperimentPage:
        return self._read(f"/experiments/{name}", ExperimentPage.model_validate_json)

    def edit(self, name: str, edit: Edit) -> ExperimentPage:
        body = edit.model_dump_json(exclude_none=True)
        response = self._call("PUT", f"/experiments/{name}", content=body, headers={"Content-Type": "application/json"})
        return _parsed(ExperimentPage.model_validate_json, response)

    def reach(self, name: str) -> Reach:
        return self._read(f"/experiments/{name}/reach", Reach.model_validate_json)

    def runs(self, name: str) -> list[RunLine]:
        return self._read(f"/experiments/{name}/runs", _runs.validate_json)

    def report(self, name: str, run: int | None) -> Report:
        """The newest with what was changed or decided since it was made; one run alone stays as it was."""
        report = self._read(f"/experiments/{name}/report", Report.model_validate_json, _of_run(run))
        if run is not None or (page := self.page(name)).experiment.revision <= report.experiment.revision:
            return report
        return report.model_copy(update={"experiment": page.experiment, "history": page.history})

    def report_csv(self, name: str, run: int | None) -> str:
        return self._call("GET", f"/experiments/{name}/report.csv", params=_of_run(run)).text

    def rule_sets(self) -> list[RuleSet]:
        return self._read("/rules", _rule_sets.validate_json)

    def rules_page(self, name: str) -> RulesPage:
        return self._read(f"/rules/{name}", RulesPage.model_validate_json)

    def edit_rules(self, name: str, edit: RulesEdit) -> RulesPage:
        body, headers = edit.model_dump_json(), {"Content-Type": "application/json"}
        return _parsed(
            RulesPage.model_validate_json, self._call("PUT", f"/rules/{name}", content=body, headers=headers)
        )

    def exposure(self, key: str) -> Exposure:
        return self._read(f"/exposures/{key}", Exposure.model_validate_json)

    def _read(self, path: str, parse: Callable[[bytes], Answer], params: Mapping[str, int] | None = None) -> Answer:
        return _parsed(parse, self._call("GET", path, params=params))

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, int] | None = None,
        content: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            response = self.http.request(method, path, params=params, content=content, headers=headers)
        except httpx.TransportError as error:
            raise LentaError(
                f"the gateway at {self.http.base_url} does not answer: {error}; see `lenta status`"
            ) from error
        if response.is_success:
            return response
        raise LentaError(_reason(response, path))


@contextmanager
def experiments(home: Home, *, admin: bool = False) -> Iterator[Experiments]:
    """admin: with the key that may change something. Raises LentaError where the key is not known."""
    key = environment.require("LENTA_ADMIN_KEY" if admin else "LENTA_API_KEY", home)
    with httpx.Client(
        base_url=environment.require("LENTA_GATEWAY_URL", home), timeout=READ_SECONDS, headers={API_KEY: key}
    ) as http:
        yield Experiments(http)


def _of_run(run: int | None) -> dict[str, int]:
    return {} if run is None else {"run": run}


def _parsed(parse: Callable[[bytes], Answer], response: httpx.Response) -> Answer:
    try:
        return parse(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LentaError(
            f"{response.request.method} {response.url.path}: not understood ({where}: {first['msg']}); "
            "are gateway and `lenta` of one version?"
        ) from error


def _reason(response: httpx.Response, path: str) -> str:
    """The gateway's problem, and what to do about it."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return f"{response.request.method} {path}: the gateway answered {response.status_code}"
    field = f"{problem.field}: " if problem.field and problem.field not in problem.message else ""
    advice = {
        401: "; is LENTA_API_KEY one of its keys?",
        403: "; set LENTA_ADMIN_KEY to one",
        409: "; see `lenta experiment show`",
    }
    return f"{field}{problem.message}{advice.get(response.status_code, '')}"
