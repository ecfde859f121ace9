"""The addresses of the rules' page and its editor: a change is live at once, so that each says who and why."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import structlog
from chassis.errors import Unavailable
from contracts.rules import DEFAULT, RulesEdit, RuleSet, RulesPage
from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.editor.routes import SIGN_OUT, FormRefused, ask_key, posted
from console.editor.sessions import COOKIE, EditorSession, SessionsDep
from console.frame import RULES, page
from console.gateway import ChangeRefused, Gateway, GatewayError, KeyRefused, or_error, unreadable
from console.rules.form import FIELDS, FormFault, field_of, form_of, rules_of
from console.rules.view import Section, sections_of
from console.state import GatewayDep

NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
LABELS = {field.name: field.label for _, fields in FIELDS for field in fields} | {"reason": "Reason", "by": "By"}

_SECTIONS = TypeAdapter(list[Section])

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)


@router.get(RULES)
async def rules_page(request: Request, gateway: GatewayDep) -> Response:
    if name := request.query_params.get("name", "").strip():
        if NAME.fullmatch(name):
            return RedirectResponse(f"{RULES}/{name}/edit", 303)
        return await _listed(
            request, gateway, f"“{name[:60]}” is no name: lower-case letters, digits and hyphens.", 422
        )
    return await _listed(request, gateway)


@router.get(f"{RULES}.json")
async def rules_json(gateway: GatewayDep) -> Response:
    """The same as JSON."""
    try:
        sections = sections_of(await _pages(gateway))
    except GatewayError as error:
        raise Unavailable(unreadable(error)) from error
    headers = {"Cache-Control": "no-store"}
    return Response(_SECTIONS.dump_json(sections), headers=headers, media_type="application/json")


@router.get(f"{RULES}/{{name}}/edit")
async def edit_page(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    if not NAME.fullmatch(name):
        return page(request, "absent.html", {"said": f"There is no rule set {name[:60]!r}."}, status=404)
    session = sessions.find(request.cookies.get(COOKIE))
    if session is None:
        return ask_key(request, request.url.path)
    try:
        rule_set = await _rule_set(gateway, name)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    return _form(request, session, rule_set, form_of(rule_set.rules))


@router.post(f"{RULES}/{{name}}/edit")
async def save(request: Request, name: str, gateway: GatewayDep, sessions: SessionsDep) -> Response:
    try:
        session, form = await posted(request, sessions)
    except FormRefused as error:
        return error.page
    if not NAME.fullmatch(name):
        return page(request, "absent.html", {"said": f"There is no rule set {name[:60]!r}."}, status=404)
    given = form.get("revision", "")
    revision = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    typed = RuleSet(name=name, revision=revision)
    try:
        edit = _edit(form, revision)
        await gateway.change_rules(name, edit, session.key)
    except FormFault as faulty:
        return _form(request, session, typed, form, faulty)
    except KeyRefused:
        return ask_key(request, request.url.path, "The key no longer opens the editor. Nothing was changed.", 403)
    except ChangeRefused as refused:
        fault = FormFault(field_of((refused.field or "reason").split(".")), str(refused))
        return _form(request, session, typed, form, fault, 409 if refused.is_late else 422)
    except GatewayError as error:
        said = f"Nothing was changed, as far as is known. {unreadable(error)}"
        return page(request, "unreadable.html", {"said": said}, status=503)
    log.info("rules_changed", rules=name, by=edit.by, reason=edit.reason)
    return RedirectResponse(f"{RULES}#{name}", 303)


def _edit(form: Mapping[str, str], revision: int) -> RulesEdit:
    """Raises FormFault."""
    rules = rules_of(form)
    try:
        return RulesEdit.model_validate(
            {
                "rules": rules,
                "reason": form.get("reason", "").strip(),
                "by": form.get("by", "").strip() or "admin",
                "revision": revision,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise FormFault(field_of(first["loc"]), first["msg"]) from error


async def _listed(request: Request, gateway: Gateway, fault: str | None = None, status: int = 200) -> Response:
    try:
        pages = await _pages(gateway)
    except GatewayError as error:
        return page(request, "unreadable.html", {"said": unreadable(error)}, status=503)
    return page(request, "rules.html", {"sections": sections_of(pages), "fault": fault}, status=status)


async def _pages(gateway: Gateway) -> list[RulesPage]:
    """Raises GatewayError."""
    sets = await gateway.rule_sets()
    names = sorted((each.name for each in sets), key=lambda name: (name != DEFAULT, name))
    pages = await asyncio.gather(*(or_error(gateway.rules_page(name)) for name in names))
    if failed := next((each for each in pages if isinstance(each, GatewayError)), None):
        raise failed
    return [each for each in pages if isinstance(each, RulesPage)]


async def _rule_set(gateway: Gateway, name: str) -> RuleSet:
    """One without rules where nobody has saved it."""
    known = await gateway.rules_page(name)
    return RuleSet(name=name) if known is None else known.rule_set


def _form(
    request: Request,
    session: EditorSession,
    rule_set: RuleSet,
    form: Mapping[str, str],
    fault: FormFault | None = None,
    status: int = 422,
) -> Response:
    values = {"blocks": FIELDS, "form": form, "rule_set": rule_set, "csrf": session.csrf, "sign_out": SIGN_OUT}
    label = LABELS.get(fault.field, fault.field.capitalize()) if fault else None
    told = {"fault": fault, "faulty": fault.field if fault else None, "label": label}
    return page(request, "rules_form.html", values | told, status=status if fault else 200)
