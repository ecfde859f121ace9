"""The calls about rules of the business: read, edit. Off the hot path; Postgres is asked in worker threads."""

from __future__ import annotations

import anyio.to_thread
from chassis.errors import invalid_parameter_from
from contracts.rules import RulesEdit, RuleSet, RuleSetName, RulesPage
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request

from feature_service.serving.state import Now, RegistryDep

router = APIRouter(prefix="/rules")


@router.get("")
async def rule_sets(registry: RegistryDep) -> list[RuleSet]:
    return await anyio.to_thread.run_sync(registry.rule_sets)


@router.get("/{name}")
async def page(registry: RegistryDep, name: str) -> RulesPage:
    return await anyio.to_thread.run_sync(registry.rules_page, name)


@router.put("/{name}")
async def edit(request: Request, registry: RegistryDep, now: Now, name: RuleSetName) -> RulesPage:
    try:
        wanted = RulesEdit.model_validate_json(await request.body())
    except ValidationError as error:
        raise invalid_parameter_from(error, "body") from error
    return await anyio.to_thread.run_sync(registry.edit_rules, name, wanted, now)
