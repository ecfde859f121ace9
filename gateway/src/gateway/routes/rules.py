"""Rules of the business: feature-service's answers behind keys."""

from __future__ import annotations

from typing import Annotated

from contracts.rules import RulesEdit, RuleSet, RuleSetName, RulesPage
from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import needs
from gateway.forward import forward, respond
from gateway.routes.openapi import ADMINISTERED, ONE_OF_OURS, OURS
from gateway.state import UpstreamsDep

SECONDS = 5.0

router = APIRouter(tags=["rules"])
Named = Annotated[RuleSetName, Path(description="The rule set's name.", examples=["default"])]


@router.get("/rules", response_model=list[RuleSet], responses=OURS, dependencies=[Depends(needs("read"))])
async def rule_sets(request: Request, upstreams: UpstreamsDep) -> Response:
    """All of them. `default` holds for everybody whom no experiment gives another one."""
    return respond(await forward(request, upstreams.administration.within(SECONDS), "GET", "/rules"))


@router.get("/rules/{name}", response_model=RulesPage, responses=ONE_OF_OURS, dependencies=[Depends(needs("read"))])
async def rule_set(request: Request, upstreams: UpstreamsDep, name: Named) -> Response:
    """Its rules, and every change with who made it and why."""
    return respond(await forward(request, upstreams.administration.within(SECONDS), "GET", f"/rules/{name}"))


@router.put(
    "/rules/{name}", response_model=RulesPage, responses=ADMINISTERED, dependencies=[Depends(needs("administer"))]
)
async def edit(request: Request, upstreams: UpstreamsDep, name: Named, edit: RulesEdit) -> Response:
    """Replaces the rules of a set, or makes one. Every gateway follows within two seconds."""
    body = edit.model_dump_json(exclude_unset=True).encode()
    administration = upstreams.administration.within(SECONDS)
    return respond(await forward(request, administration, "PUT", f"/rules/{name}", body))
