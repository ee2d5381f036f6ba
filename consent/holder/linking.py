"""Making a holder link (WIRE C8): a presentation, verified as any verifier does, leads to a row.

So the consent service never learns who the resident is, and nobody links a neighbour's row. What
the presentation says is forgotten; what stays is link key → the register's own row key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from consent.errors import MessageError, NothingReleased
from consent.holder.data_holder import DataHolder
from consent.holder.link import PRESENTATION_SECONDS, LinkRequest, open_link
from consent.holder.link_store import LinkStore
from consent.holder.reply_codes import STATUS_UNAVAILABLE
from consent.holder.source import Source
from consent.signed_message import reading
from identity.clock import Clock
from identity.codec import base64url
from identity.codec.members import MAX_TEXT
from identity.errors import IdentityError, StatusUnavailable
from identity.formats.sd_jwt.claim_path import select
from identity.formats.sd_jwt_vc import verify as sd_jwt_vc
from identity.formats.sd_jwt_vc.verify import IssuerKey
from identity.randomness import Random

_WHAT = "holder link"
HANDLE_BYTES = 16


class StatusCheck(Protocol):
    def __call__(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        """Raises CredentialRevoked, and StatusUnavailable where it cannot be known."""
        ...


@dataclass(frozen=True, slots=True)
class Link:
    handle: str
    is_new: bool


class Linking:
    """Threads may share one."""

    def __init__(
        self,
        holder: DataHolder,
        *,
        issuer_key: IssuerKey,
        check_status: StatusCheck,
        source: Source,
        links: LinkStore,
        clock: Clock,
        random: Random,
    ) -> None:
        self._holder = holder
        self._issuer_key = issuer_key
        self._check_status = check_status
        self._source = source
        self._links = links
        self._clock = clock
        self._random = random

    def link(self, body: Mapping[str, Any]) -> Link:
        """Answers ``POST /links``. Raises MessageError, LedgerConflict (``taken``), RegisterFault, NothingReleased.

        1. Sealed to a declared key of this data holder.
        2. The presentation: a listed issuer, valid now, key binding for this data holder over link
           key and mailbox, at most 300 s old.
        3. Of the declared type, and not revoked.
        4. The declared claim was disclosed and names exactly one row.
        5. The same link key again keeps its handle.
        """
        now = int(self._clock())
        # 1
        request = self._open(body)
        # 2
        with reading(_WHAT):
            verified = sd_jwt_vc.verify(
                request.vp_token,
                issuer_key=self._issuer_key,
                audience=self._holder.party,
                nonce=request.nonce(self._holder.party),
                now=now,
                max_kb_age_seconds=PRESENTATION_SECONDS,
            )
        # 3
        if verified.vct != self._holder.declaration.row_vct:
            raise MessageError(f"{_WHAT}: the presentation is of another credential type than the declared one")
        try:
            self._check_status(verified.status, issuer=verified.iss, now=now)
        except StatusUnavailable as fault:
            raise NothingReleased(STATUS_UNAVAILABLE, str(fault)) from None
        except IdentityError as fault:
            raise MessageError(f"{_WHAT}: {fault}") from None
        # 4
        row = self._source.row_of(_claim(verified.claims, self._holder.declaration.row_path))
        if row is None:
            raise MessageError(f"{_WHAT}: the register has no row for this presentation")
        # 5
        handle, is_new = self._links.add(
            handle=base64url.encode(self._random(HANDLE_BYTES)),
            key=request.link_key,
            mailbox=request.mailbox,
            row_key=row,
            now=now,
        )
        return Link(handle, is_new)

    def _open(self, body: Mapping[str, Any]) -> LinkRequest:
        fault = MessageError(f"{_WHAT}: no key is there to open it")
        for key in self._holder.hpke_keys:
            try:
                return open_link(key, body, holder=self._holder.party)
            except MessageError as caught:
                fault = caught
        raise fault


def _claim(claims: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The text that the declared path selects. Raises MessageError, which never quotes it."""
    with reading(_WHAT):
        found = select(claims, path)
    value: Any = claims
    for name in path:
        value = value[name] if found else None
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise MessageError(f"{_WHAT}: the declared claim is not disclosed as a text")
    return value
