"""Pushed authorization requests, the sessions in which they are answered, challenges and codes."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from identity.card.challenge import Challenge, IssuedChallenge
from identity.codec import base64url
from identity.issuer.store.configurations import dump, load
from identity.issuer.store.tables import authorization_code, card_session, challenge, pushed_request

MAX_SESSIONS = 32
"""Views of one request: a browser, a wallet, and reloads without cookie."""

MAX_CHALLENGES = 16
"""Challenges of one session: a few wrong cards and a PIN looked up."""


@dataclass(frozen=True, slots=True)
class PushedRequest:
    request_hash: bytes
    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    jkt: str | None
    configurations: tuple[str, ...]
    by_details: bool
    """Asked by ``authorization_details``: the token answer carries them too."""
    expires: int
    done: bool = False


@dataclass(frozen=True, slots=True)
class NewAuthorizationCode:
    code_hash: bytes
    sealed: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class SpentCode:
    """What a code was given for; ``repeated`` = it was spent before, and ``issuance`` what it gave then."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    jkt: str | None
    configurations: tuple[str, ...]
    by_details: bool
    sealed: bytes
    repeated: bool
    issuance: int | None


class RequestStore:
    """Also the ``ChallengeStore`` of `identity.card.challenge`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def push(self, request: PushedRequest, *, now: int) -> None:
        with self._engine.begin() as connection:
            # Whoever asks pays for tidying up: no flood of requests outlives their ten minutes.
            connection.execute(delete(pushed_request).where(pushed_request.c.expires <= now))
            connection.execute(
                insert(pushed_request).values(
                    request_hash=request.request_hash,
                    client_id=request.client_id,
                    redirect_uri=request.redirect_uri,
                    state=request.state,
                    code_challenge=request.code_challenge,
                    jkt=request.jkt,
                    configurations=dump(request.configurations),
                    by_details=request.by_details,
                    expires=request.expires,
                    done=False,
                )
            )

    def get(self, request_hash: bytes, *, now: int) -> PushedRequest | None:
        with self._engine.begin() as connection:
            return _request(connection, request_hash, now)

    def open_session(self, request_hash: bytes, *, session: bytes, cookie_hash: bytes) -> bool:
        """False where the request has too many of them."""
        count = select(func.count()).where(card_session.c.request_hash == request_hash)
        with self._engine.begin() as connection:
            if connection.execute(count).scalar_one() >= MAX_SESSIONS:
                return False
            connection.execute(
                insert(card_session).values(
                    session=session, cookie_hash=cookie_hash, request_hash=request_hash, challenges=0
                )
            )
            return True

    def session_of_cookie(self, request_hash: bytes, cookie_hash: bytes) -> bytes | None:
        """The session that a reloaded page belongs to."""
        query = select(card_session.c.session).where(
            card_session.c.request_hash == request_hash, card_session.c.cookie_hash == cookie_hash
        )
        with self._engine.begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def request_of_session(self, session: bytes, *, now: int) -> tuple[PushedRequest, bytes] | None:
        """The request and the hash of the session's cookie."""
        query = select(card_session.c.request_hash, card_session.c.cookie_hash).where(card_session.c.session == session)
        with self._engine.begin() as connection:
            found = connection.execute(query).first()
            request = None if found is None else _request(connection, found.request_hash, now)
        return None if found is None or request is None else (request, bytes(found.cookie_hash))

    def count_challenge(self, session: bytes) -> bool:
        """False where the session has had too many."""
        counted = (
            update(card_session)
            .where(card_session.c.session == session, card_session.c.challenges < MAX_CHALLENGES)
            .values(challenges=card_session.c.challenges + 1)
        )
        with self._engine.begin() as connection:
            return connection.execute(counted).rowcount == 1

    def put(self, issued: IssuedChallenge) -> None:
        """Keeps it under its session, in place of an earlier one."""
        given = issued.challenge
        session = base64url.decode(given.session)
        with self._engine.begin() as connection:
            connection.execute(delete(challenge).where(challenge.c.session == session))
            connection.execute(
                insert(challenge).values(
                    session=session,
                    random=given.random,
                    binding=given.binding,
                    issuer=given.issuer,
                    purpose=given.purpose,
                    expires=int(issued.expires),
                )
            )

    def take(self, session: str) -> IssuedChallenge | None:
        """Removes and returns it in one step."""
        taken = delete(challenge).where(challenge.c.session == base64url.decode(session)).returning(challenge)
        with self._engine.begin() as connection:
            row = connection.execute(taken).first()
        if row is None:
            return None
        return IssuedChallenge(Challenge(row.random, row.binding, row.issuer, row.purpose, session), row.expires)

    def finish(self, request: PushedRequest, code: NewAuthorizationCode, *, now: int) -> bool:
        """Ends the request with a code, once; False where another session has done so, or time has."""
        ended = (
            update(pushed_request)
            .where(
                pushed_request.c.request_hash == request.request_hash,
                pushed_request.c.done.is_(False),
                pushed_request.c.expires > now,
            )
            .values(done=True)
        )
        with self._engine.begin() as connection:
            if connection.execute(ended).rowcount != 1:
                return False
            connection.execute(
                insert(authorization_code).values(
                    code_hash=code.code_hash,
                    client_id=request.client_id,
                    redirect_uri=request.redirect_uri,
                    code_challenge=request.code_challenge,
                    jkt=request.jkt,
                    configurations=dump(request.configurations),
                    by_details=request.by_details,
                    sealed=code.sealed,
                    expires=code.expires,
                    spent=False,
                )
            )
            return True

    def close(self, request_hash: bytes) -> bool:
        """Ends the request without a code; False where it had ended."""
        ended = (
            update(pushed_request)
            .where(pushed_request.c.request_hash == request_hash, pushed_request.c.done.is_(False))
            .values(done=True)
        )
        with self._engine.begin() as connection:
            return connection.execute(ended).rowcount == 1

    def purge(self, *, now: int, kept_seconds: int) -> None:
        """Spent codes stay ``kept_seconds`` longer, so that their reuse is noticed."""
        with self._engine.begin() as connection:
            connection.execute(delete(pushed_request).where(pushed_request.c.expires <= now))
            connection.execute(delete(authorization_code).where(authorization_code.c.expires <= now - kept_seconds))


def spend_authorization_code(connection: Connection, code_hash: bytes, *, now: int) -> SpentCode | None:
    """The first call spends it, whatever the caller finds wrong afterwards; None = unknown or too old."""
    row = connection.execute(select(authorization_code).where(authorization_code.c.code_hash == code_hash)).first()
    if row is None or (not row.spent and row.expires <= now):
        return None
    connection.execute(
        update(authorization_code).where(authorization_code.c.code_hash == code_hash).values(spent=True, sealed=b"")
    )
    return SpentCode(
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        code_challenge=row.code_challenge,
        jkt=row.jkt,
        configurations=load(row.configurations),
        by_details=row.by_details,
        sealed=bytes(row.sealed),
        repeated=row.spent,
        issuance=row.issuance,
    )


def mark_authorization_code(connection: Connection, code_hash: bytes, issuance: int) -> None:
    connection.execute(
        update(authorization_code).where(authorization_code.c.code_hash == code_hash).values(issuance=issuance)
    )


def _request(connection: Connection, request_hash: bytes, now: int) -> PushedRequest | None:
    row: Row[Any] | None = connection.execute(
        select(pushed_request).where(pushed_request.c.request_hash == request_hash, pushed_request.c.expires > now)
    ).first()
    if row is None:
        return None
    return PushedRequest(
        request_hash=bytes(row.request_hash),
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        state=row.state,
        code_challenge=row.code_challenge,
        jkt=row.jkt,
        configurations=load(row.configurations),
        by_details=row.by_details,
        expires=row.expires,
        done=row.done,
    )
