"""A visitor's session: a nonce, and the number of the token that was signed in with. It lives in a signed cookie; the right to do anything does not.

The token is looked up again at every request, so an ended or revoked one ends its sessions too. A form carries the session's CSRF word; signing in
makes a new nonce, so a word or cookie from before is of no use after.
"""

import hmac
import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

COOKIE = "jcredit_session"
LONGEST_S = 12 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """`token` is None for a visitor who has not signed in."""

    nonce: str
    token: int | None = None


class Sessions:
    """Write and read sessions under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._cookie = URLSafeTimedSerializer(secret, salt="session")

    def new(self, token: int | None = None) -> Session:
        return Session(nonce=secrets.token_urlsafe(16), token=token)

    def written(self, session: Session) -> str:
        return str(self._cookie.dumps([session.nonce, session.token]))

    def read(self, cookie: str | None) -> Session | None:
        """The session in a cookie; None for one that is not ours, is older than 12 hours, or says nothing that we write."""
        try:
            nonce, token = self._cookie.loads(cookie or "", max_age=LONGEST_S)
        except (BadData, ValueError, TypeError):
            return None
        return Session(nonce=nonce, token=token)

    def csrf(self, session: Session) -> str:
        return hmac.new(self._secret, b"csrf\0" + session.nonce.encode(), "sha256").hexdigest()

    def csrf_holds(self, session: Session, given: object) -> bool:
        return isinstance(given, str) and hmac.compare_digest(self.csrf(session).encode(), given.encode())
