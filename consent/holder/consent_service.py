"""The consent service as a data holder sees it: asked for every use, and believed in nothing.

What it publishes is cached: numbers of parties and purposes, and the signed declarations. A number
that was seen once must not change; a declaration counts by its owner's signature alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from consent import spec
from consent.caller.client import Client
from consent.errors import LedgerConflict, LogError, MessageError, PeerUnavailable
from consent.grant.use import Allow, Deny, VerifiedUseRequest, verify_use_answer
from consent.procedure.declaration import PurposeDeclaration, verify_purpose_declaration
from consent.signed_message import reading
from identity.clock import Clock
from identity.codec import members
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.public_key import PublicKey
from identity.trust.registry import Party

MAX_ANSWER_BYTES = 262_144
"""A use answer holds a grant (with its request), a locator and a proof: each at most 64 KiB."""

MAX_LIST_BYTES = 8_388_608
"""All declarations of a city."""


@dataclass(frozen=True, slots=True)
class _Published:
    services: Mapping[str, int]
    purposes: Mapping[str, int]
    declarations: tuple[str, ...]


class ConsentService:
    """``party`` gives its entry of the list now; it raises where it is not listed. Threads may share one."""

    def __init__(self, client: Client, party: Callable[[], Party], clock: Clock) -> None:
        self._client = client
        self._party = party
        self._clock = clock
        self._lock = Lock()
        self._published = _Published({}, {}, ())

    def use(self, request: VerifiedUseRequest) -> Allow | Deny:
        """Its signed answer to this use request.

        Raises PeerUnavailable where there is none, MessageError where what it answers is not one.
        """
        party = self._party()
        answer = self._client.post_proven(
            f"{_address(party)}/uses", {"use_request": request.compact}, max_bytes=MAX_ANSWER_BYTES
        )
        if answer.status not in (200, 403):
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        decided = verify_use_answer(
            answer.text(),
            consent_key=party.public_key,
            consent=party.id,
            request=request,
            now=int(self._clock()),
        )
        if isinstance(decided, Allow) != (answer.status == 200):
            raise MessageError("use answer: its status says another decision")
        return decided

    def numbers(self, service: str, purpose: str) -> tuple[int, int]:
        """Under which numbers leaves name them (C6). Raises LogError, PeerUnavailable."""
        for published in (self._published, None):
            known = published or self.refresh()
            if service in known.services and purpose in known.purposes:
                return known.services[service], known.purposes[purpose]
        raise LogError("services: no number is published for this service or purpose")

    def purpose_declaration(
        self, service: str, identifier: str, key_of: Callable[[str], PublicKey]
    ) -> PurposeDeclaration:
        """The declaration ``id@version``, signed by this service. Raises MessageError, PeerUnavailable."""
        for published in (self._published, None):
            known = published or self.refresh()
            for compact in known.declarations:
                if _names(compact, service, identifier):
                    return verify_purpose_declaration(compact, key_of)[0]
        raise MessageError("purpose declaration: the service has none of this name and version")

    def declare(self, compact: str) -> None:
        """Registers our own declaration; the same again changes nothing. Raises LedgerConflict, PeerUnavailable."""
        url = f"{_address(self._party())}/declarations"
        answer = self._client.post(url, compact.encode("ascii"), media_type=spec.MEDIA_JWT)
        if answer.status == 409:
            raise LedgerConflict(answer.error() or "taken")
        if answer.status != 201:
            raise PeerUnavailable(f"consent service: it answered {answer.status} to a declaration")

    def refresh(self) -> _Published:
        """Asks for numbers and declarations anew. Raises PeerUnavailable, LogError where a number changed."""
        with self._lock:
            base = _address(self._party())
            numbered = self._object(f"{base}/services")
            fresh = _Published(
                _numbers(numbered, "services", "id"),
                _numbers(numbered, "purposes", "iri"),
                _declarations(self._object(f"{base}/declarations")),
            )
            for before, after in (
                (self._published.services, fresh.services),
                (self._published.purposes, fresh.purposes),
            ):
                if any(after.get(name) != number for name, number in before.items()):
                    raise LogError("services: a published number has changed")
            self._published = fresh
            return fresh

    def _object(self, url: str) -> dict[str, Any]:
        answer = self._client.get(url, max_bytes=MAX_LIST_BYTES)
        if answer.status != 200:
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        return answer.object()


def _address(party: Party) -> str:
    address = party.endpoints.get("consent")
    if address is None:
        raise PeerUnavailable("registry: the consent service is listed without an address")
    return address.rstrip("/")


def _numbers(value: Mapping[str, Any], name: str, key: str) -> dict[str, int]:
    what = "services"
    with reading(what):
        rows = value.get(name)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise MessageError(f"{what}: {name} must be a list of objects")
        found = {
            members.text(row, key, what=what): members.integer(row, "number", what=what, minimum=1) for row in rows
        }
    if len(found) != len(rows) or len(set(found.values())) != len(rows):
        raise MessageError(f"{what}: a name or a number stands there twice")
    return found


def _declarations(value: Mapping[str, Any]) -> tuple[str, ...]:
    rows = value.get("declarations")
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise MessageError("declarations: a list of texts was expected")
    return tuple(rows)


def _names(compact: str, service: str, identifier: str) -> bool:
    """Whether it claims to be this declaration; whether it is, its signature says."""
    try:
        parsed = jws.parse(compact, what="purpose declaration")
        claims = parsed.claims()
    except IdentityError:
        return False
    return (
        parsed.header.get("typ") == spec.TYP_PURPOSE_DECLARATION
        and claims.get("iss") == service
        and f"{claims.get('id')}@{claims.get('version')}" == identifier
    )
