"""Browser sessions: what the portal knows of a browser, sealed under the browser's own cookie.

The cookie is 32 random bytes; the database holds its hash and a value that nothing else opens. Its
name is the portal's own, since all ports of a host share their cookies. At a login the cookie is
replaced: one that was planted before is worth nothing after (session fixation).
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update
from starlette.requests import Request
from starlette.responses import Response

from identity.clock import Clock
from identity.codec import base64url
from identity.errors import EnvelopeError
from identity.randomness import Random
from verifier.sealing import Sealing, hashed
from verifier.tables import browser

COOKIE = "atorga-portal"
COOKIE_CHARACTERS = 43

BROWSER_SECONDS = 1_800
"""Half an hour, from the last page: a person who leaves a shared computer is soon logged out."""

_PURPOSE = "browser"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the portal knows; JSON only."""

    attempt: str | None = None
    """The secret of a login that was begun."""
    login: dict[str, Any] | None = None
    """What a login disclosed."""
    consent: dict[str, Any] | None = None
    """A permission that was asked for, and what came of it."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser at one request. ``secret`` never appears in a page."""

    secret: str
    knowledge: Knowledge = field(default_factory=Knowledge)
    is_new: bool = True

    def knowing(self, **changes: Any) -> "Browser":
        return replace(self, knowledge=replace(self.knowledge, **changes))


class Browsers:
    def __init__(self, engine: Engine, sealing: Sealing, *, secure: bool, clock: Clock, random: Random) -> None:
        """``secure``: the cookie is for https only."""
        self._engine = engine
        self._sealing = sealing
        self._secure = secure
        self._clock = clock
        self._random = random

    def of(self, request: Request) -> Browser:
        """The browser's session; a fresh one where there is none that still holds."""
        secret = request.cookies.get(COOKIE, "")
        if len(secret) == COOKIE_CHARACTERS:
            with self._engine.begin() as connection:
                row = connection.execute(
                    select(browser.c.sealed).where(
                        browser.c.secret_hash == hashed(secret), browser.c.expires > int(self._clock())
                    )
                ).first()
            if row is not None:
                try:
                    plain = self._sealing.open(_PURPOSE, secret, row.sealed)
                except EnvelopeError:
                    return self._fresh()
                return Browser(secret, Knowledge(**json.loads(plain)), is_new=False)
        return self._fresh()

    def keep(self, found: Browser, response: Response) -> None:
        """Stores what is known and sets the cookie."""
        now = int(self._clock())
        sealed = self._sealing.seal(
            _PURPOSE, found.secret, json.dumps(asdict(found.knowledge)).encode("utf-8"), random=self._random
        )
        values = {"sealed": sealed, "expires": now + BROWSER_SECONDS}
        key = hashed(found.secret)
        with self._engine.begin() as connection:
            connection.execute(delete(browser).where(browser.c.expires <= now))
            changed = connection.execute(update(browser).where(browser.c.secret_hash == key).values(**values))
            if changed.rowcount == 0:
                connection.execute(insert(browser).values(secret_hash=key, **values))
        response.set_cookie(
            COOKIE, found.secret, path="/", httponly=True, samesite="lax", secure=self._secure, max_age=BROWSER_SECONDS
        )

    def renewed(self, found: Browser) -> Browser:
        """The same knowledge under another secret; the old one opens nothing any more."""
        self.forget(found)
        return replace(found, secret=self._fresh().secret)

    def forget(self, found: Browser) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(browser).where(browser.c.secret_hash == hashed(found.secret)))

    def form_token(self, found: Browser) -> str:
        """What a form of ours carries and a form of another site cannot know."""
        return self._sealing.secret("form", found.secret)

    def _fresh(self) -> Browser:
        return Browser(base64url.encode(self._random(32)))
