"""One page: a template with the words of the visitor's language, the desk's menu, and a CSRF word for its forms."""

from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from console.web import flag_timescale, language, session, show
from console.web.desk import EVERYONE, ROLES, desk, guest, speech, visitor
from console.web.language import Language
from console.web.token_timescale import Holder
from verification.walk import Role

LASTS_S = 365 * 86400
SEEING_READINGS = (Role.OPERATOR, Role.VERIFIER, Role.REVIEWER)
# Of each page in the menu: its address, its words, and whose it is.
MENU: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("/gateways", "menu.gateways", (Role.OPERATOR,)),
    ("/sites", "menu.sites", SEEING_READINGS),
    ("/flags", "menu.flags", SEEING_READINGS),
    ("/claims", "menu.claims", EVERYONE),
    ("/batches", "menu.batches", (Role.OPERATOR, Role.ADMINISTRATOR)),
)


def first_page(holder: Holder) -> str:
    """Where a role's work begins."""
    return {Role.OPERATOR: "/gateways", Role.ADMINISTRATOR: "/batches"}.get(holder.role, "/claims")


def onward(request: Request, path: str, **query: str) -> str:
    """An address of this console that keeps the language that was asked for in the present one."""
    lang = request.query_params.get("lang")
    query |= {"lang": lang} if lang in tuple(Language) else {}
    return f"{path}?{urlencode(query)}" if query else path


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The page as an answer. The language asked for in the address is kept in a cookie; a visitor without a session gets one."""
    say, sessions, holder = speech(request), desk(request).sessions, guest(request)
    found = visitor(request) or sessions.new()
    other = (
        str(request.url.include_query_params(lang=say.language.other).replace(scheme="", netloc=""))
        if request.method == "GET"
        else "/?lang=" + say.language.other
    )
    html = (
        _environment()
        .get_template(template)
        .render(
            t=say,
            of=say.of,
            lang=say.language,
            other=other,
            holder=holder,
            role=say.of(*ROLES[holder.role]) if holder else None,
            menu=[(address, say(words), request.url.path.startswith(address)) for address, words, roles in MENU if holder and holder.role in roles],
            csrf=sessions.csrf(found),
            span=partial(show.span, day=say("unit.day"), hour=say("unit.hour"), minute=say("unit.minute")),
            sentence=lambda row: flag_timescale.sentence(row, say),
            **values,
        )
    )
    answer = HTMLResponse(html, status_code=status)
    if visitor(request) is None:
        put(answer, request, session.COOKIE, sessions.written(found))
    if request.query_params.get("lang") == say.language:
        put(answer, request, language.COOKIE, say.language, max_age=LASTS_S)
    return answer


def put(answer: HTMLResponse | Any, request: Request, name: str, value: str, max_age: int | None = None) -> None:
    """A cookie that scripts do not see and other sites do not send."""
    answer.set_cookie(name, value, max_age=max_age, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/")


def trouble(request: Request, status: int, ja: str, en: str) -> HTMLResponse:
    """A page that says what could not be done; it asks nothing of the database, which may be what is away."""
    request.state.holder = getattr(request.state, "holder", None)
    say = speech(request)
    return page(request, "trouble.html", status=status, sentence_said=say.of(ja, en), code=status)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("console.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(jst=show.jst, kwh=show.kwh, number=show.number)
    return environment
