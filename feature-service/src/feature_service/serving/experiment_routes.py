"""The calls about experiments: read, edit, reports. Off the hot path; Postgres is asked in worker threads."""

from __future__ import annotations

import re
from typing import Annotated

import anyio.to_thread
from chassis.errors import InvalidParameter
from contracts.experiments import Edit, ExperimentPage, Name, Plan
from contracts.reports import ExperimentLine, Report, RunLine
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from feature_service.reports.export import as_csv
from feature_service.serving.registry import Registry

router = APIRouter(prefix="/experiments")


@router.get("")
async def lines(request: Request) -> list[ExperimentLine]:
    return await anyio.to_thread.run_sync(_registry(request).lines)


@router.get("/{name}")
async def page(request: Request, name: str) -> ExperimentPage:
    return await anyio.to_thread.run_sync(_registry(request).page, name)


@router.put("/{name}")
async def edit(request: Request, name: Name) -> ExperimentPage:
    try:
        wanted = Edit.model_validate_json(await request.body())
    except ValidationError as error:
        raise refused(error) from error
    now = await request.state.clock.now()
    return await anyio.to_thread.run_sync(_registry(request).edit, name, wanted, now)


@router.get("/{name}/runs")
async def runs(request: Request, name: str) -> list[RunLine]:
    return await anyio.to_thread.run_sync(_registry(request).runs, name)


@router.get("/{name}/report")
async def report(request: Request, name: str, run: Annotated[int | None, Query(ge=1)] = None) -> Report:
    return await _report(request, name, run)


@router.get("/{name}/report.csv", response_class=Response)
async def report_csv(request: Request, name: str, run: Annotated[int | None, Query(ge=1)] = None) -> Response:
    found = await _report(request, name, run)
    headers = {"Content-Disposition": f'attachment; filename="{found.experiment.name}-{found.at:%Y-%m-%d}.csv"'}
    return Response(as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


async def _report(request: Request, name: str, run: int | None) -> Report:
    now = await request.state.clock.now()
    return await anyio.to_thread.run_sync(_registry(request).report, name, run, now)


def refused(error: ValidationError) -> InvalidParameter:
    """Names the field; where what is wrong is how a plan's fields hang together, the one of which the message speaks."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if place == ["plan"]:
        named = (word for word in re.findall(r"[a-z_.0-9]+", message) if word.split(".")[0] in Plan.model_fields)
        place += list(named)[:1]
    field = ".".join(place) or "body"
    return InvalidParameter(f"{field}: {message}", field=field)


def _registry(request: Request) -> Registry:
    registry: Registry = request.state.registry
    return registry
