"""The calls about experiments: read, edit, reports. Off the hot path; Postgres is asked in worker threads."""

from __future__ import annotations

import re
from typing import Annotated

import anyio.to_thread
from chassis.errors import InvalidParameter
from contracts.experiments import Edit, ExperimentPage, Name, Plan
from contracts.reports import ExperimentLine, Reach, Report, RunLine, SanityCheck
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from feature_service.reports.export import as_csv
from feature_service.serving.state import Now, RegistryDep

router = APIRouter(prefix="/experiments")
nights = APIRouter()
RunId = Annotated[int | None, Query(ge=1)]


@router.get("")
async def lines(registry: RegistryDep, now: Now) -> list[ExperimentLine]:
    return await anyio.to_thread.run_sync(registry.lines, now)


@router.get("/{name}")
async def page(registry: RegistryDep, name: str) -> ExperimentPage:
    return await anyio.to_thread.run_sync(registry.page, name)


@router.put("/{name}")
async def edit(request: Request, registry: RegistryDep, now: Now, name: Name) -> ExperimentPage:
    try:
        wanted = Edit.model_validate_json(await request.body())
    except ValidationError as error:
        raise invalid_edit(error) from error
    return await anyio.to_thread.run_sync(registry.edit, name, wanted, now)


@router.get("/{name}/reach")
async def reach(registry: RegistryDep, now: Now, name: str) -> Reach:
    return await anyio.to_thread.run_sync(registry.reach, name, now)


@router.get("/{name}/runs")
async def runs(registry: RegistryDep, name: str) -> list[RunLine]:
    return await anyio.to_thread.run_sync(registry.runs, name)


@router.get("/{name}/report")
async def report(registry: RegistryDep, now: Now, name: str, run: RunId = None) -> Report:
    return await anyio.to_thread.run_sync(registry.report, name, run, now)


@router.get("/{name}/report.csv", response_class=Response)
async def report_csv(registry: RegistryDep, now: Now, name: str, run: RunId = None) -> Response:
    report = await anyio.to_thread.run_sync(registry.report, name, run, now)
    headers = {"Content-Disposition": f'attachment; filename="{report.experiment.name}-{report.at:%Y-%m-%d}.csv"'}
    return Response(as_csv(report), media_type="text/csv; charset=utf-8", headers=headers)


@nights.get("/sanity")
async def sanity(registry: RegistryDep) -> list[SanityCheck]:
    return await anyio.to_thread.run_sync(registry.sanity)


def invalid_edit(error: ValidationError) -> InvalidParameter:
    """Names the field; where the fields of a plan contradict each other, the first that the message names."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if place == ["plan"]:
        named = (word for word in re.findall(r"[a-z_.0-9]+", message) if word.split(".")[0] in Plan.model_fields)
        place += list(named)[:1]
    field = ".".join(place) or "body"
    return InvalidParameter(f"{field}: {message}", field=field)
