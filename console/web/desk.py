"""What a request is answered with: the database, the sessions, the language; and who is asking. Dependencies of the pages and of the API.

A page takes the session's cookie, the API a bearer token; neither takes the other's, so a form of another site can not reach the API.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
from fastapi import Depends, Request
from psycopg_pool import ConnectionPool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

from console.web import language, session, token_timescale
from console.web.language import Language, Speech
from console.web.session import Session, Sessions
from console.web.token_timescale import DESKS, Holder
from verification.walk import Role

API = "/api/"
BODY = (Role.VERIFIER, Role.REVIEWER)
EVERYONE = DESKS
Connection = psycopg.Connection[Any]


class NotSignedInError(Exception):
    """No good session or token came with the request."""


class RefusedError(Exception):
    """The answer is no: a status, and a sentence for the person, in both languages."""

    def __init__(self, status: int, ja: str, en: str) -> None:
        super().__init__(en)
        self.status, self.ja, self.en = status, ja, en


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """One console: `registry` is the registry's base address."""

    dsn: str
    registry: str
    pool: ConnectionPool[Connection]
    sessions: Sessions


def desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def connection(request: Request) -> Iterator[Connection]:
    """A connection for the length of the request. Who asks is found first, so that no request waits for a second one while it holds one."""
    guest(request)
    with desk(request).pool.connection() as open_connection:
        yield open_connection


def speech(request: Request) -> Speech:
    return Speech(language=language_of(request))


def language_of(request: Request) -> Language:
    return language.chosen(request.query_params.get("lang"), request.cookies.get(language.COOKIE), request.headers.get("accept-language"))


def visitor(request: Request) -> Session | None:
    return desk(request).sessions.read(request.cookies.get(session.COOKIE))


def guest(request: Request) -> Holder | None:
    """Who asks, if anybody is known: by bearer token at the API, by session elsewhere. Looked up once a request."""
    if not hasattr(request.state, "holder"):
        request.state.holder = _bearer(request) if request.url.path.startswith(API) else _signed_in(request)
    holder: Holder | None = request.state.holder
    return holder


def _signed_in(request: Request) -> Holder | None:
    found = visitor(request)
    if found is None or found.token is None:
        return None
    with desk(request).pool.connection() as open_connection:
        return token_timescale.holder_of(open_connection, found.token)


def _bearer(request: Request) -> Holder | None:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    with desk(request).pool.connection() as open_connection:
        return token_timescale.holder(open_connection, secret.strip())


def sitting(*roles: Role) -> Callable[[Request], Holder]:
    """Who sits at one of these desks; NotSignedInError, or RefusedError for another role."""

    def check(request: Request) -> Holder:
        return _of_role(guest(request), roles)

    return check


def _of_role(holder: Holder | None, roles: tuple[Role, ...]) -> Holder:
    if holder is None:
        raise NotSignedInError
    if holder.role not in roles:
        ja, en = "・".join(ROLES[r][0] for r in roles), " or ".join(ROLES[r][1] for r in roles)
        mine_ja, mine_en = ROLES[holder.role]
        raise RefusedError(
            403, f"これは{ja}の画面です。{holder.person} さんの役割は{mine_ja}です。", f"This is for the {en}; {holder.person} is signed in as {mine_en}."
        )
    return holder


ROLES = {
    Role.OPERATOR: ("運営・管理者", "operator"),
    Role.VERIFIER: ("審査機関（検証者）", "verifier"),
    Role.REVIEWER: ("審査機関（レビュー者）", "reviewer"),
    Role.ADMINISTRATOR: ("制度管理者", "administrator"),
}
STALE = (
    "フォームの有効期限が切れています。ページを再読み込みして、もう一度送信してください。",
    "This form is out of date; load the page again and send it again.",
)
NO_FORM = ("送られたデータがフォームとして読み取れません。", "What was sent can not be read as a form.")


async def form(request: Request) -> AsyncIterator[FormData]:
    """A form that this visitor's own page sent; RefusedError (403) without the page's CSRF word."""
    try:
        async with request.form(max_files=100, max_fields=300) as fields:
            found = visitor(request)
            if found is None or not desk(request).sessions.csrf_holds(found, fields.get("csrf")):
                raise RefusedError(403, *STALE)
            yield fields
    except MultiPartException as error:
        raise RefusedError(400, *NO_FORM) from error


Fields = Annotated[FormData, Depends(form)]
Open = Annotated[Connection, Depends(connection)]
