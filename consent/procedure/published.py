"""What a consent service publishes (WIRE C13), as data holders and services read it: cached, and believed in nothing.

A declaration counts by its owner's signature alone. A number that was seen once must not change.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from consent import spec
from consent.caller.client import Client
from consent.errors import LedgerConflict, LogError, MessageError, PeerUnavailable
from consent.log import durable
from consent.procedure.declaration import (
    DataDeclaration,
    PurposeDeclaration,
    verify_data_declaration,
    verify_purpose_declaration,
)
from consent.signed_message import reading
from identity.clock import Clock
from identity.codec import members, strict_json
from identity.envelope import jws
from identity.errors import IdentityError, TrustError
from identity.keys.public_key import PublicKey
from identity.trust.registry import Party, VerifiedRegistry

CONSENT_ROLE = "consent"

MAX_LIST_BYTES = 8_388_608
"""All declarations of a city."""


@dataclass(frozen=True, slots=True)
class _Lists:
    services: Mapping[str, int]
    purposes: Mapping[str, int]
    declarations: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """In the members of ``/services`` and ``/declarations``."""
        return {
            "services": [{"id": name, "number": number} for name, number in self.services.items()],
            "purposes": [{"iri": name, "number": number} for name, number in self.purposes.items()],
            "declarations": list(self.declarations),
        }


def _restored(kept: Path) -> _Lists:
    """A file that is not there, or damaged, is as good as none: all of it can be asked for."""
    with suppress(OSError, IdentityError, MessageError):
        value = strict_json.parse_object(kept.read_bytes(), what="kept lists", max_bytes=2 * MAX_LIST_BYTES)
        return _Lists(_numbers(value, "services", "id"), _numbers(value, "purposes", "iri"), _declarations(value))
    return _Lists({}, {}, ())


class Published:
    """``party`` gives the consent service's entry of the list now (see ``listed``). Threads may share one.

    ``kept`` is a file for what was read last: after a restart it is known while the consent service is
    down, and a number that was seen before the restart must not change either.
    """

    def __init__(self, client: Client, party: Callable[[], Party], *, kept: Path | None = None) -> None:
        self._client = client
        self._party = party
        self._kept = kept
        self._lock = Lock()
        self._lists = _Lists({}, {}, ()) if kept is None else _restored(kept)

    def numbers(self, service: str, purpose: str) -> tuple[int, int]:
        """Under which numbers leaves name them (C6). Raises LogError, PeerUnavailable."""
        for lists in self._known_then_fresh():
            if service in lists.services and purpose in lists.purposes:
                return lists.services[service], lists.purposes[purpose]
        raise LogError("services: no number is published for this service or purpose")

    def purpose_declaration(
        self, service: str, identifier: str, key_of: Callable[[str], PublicKey]
    ) -> PurposeDeclaration:
        """The declaration ``id@version`` that this service signed. Raises MessageError, PeerUnavailable."""
        return self.signed_purpose(service, identifier, key_of)[0]

    def signed_purpose(
        self, service: str, identifier: str, key_of: Callable[[str], PublicKey]
    ) -> tuple[PurposeDeclaration, str]:
        """The same with the hash of its JWS, by which a basis approves it."""
        for lists in self._known_then_fresh():
            for compact in lists.declarations:
                claims = _claims(compact, spec.TYP_PURPOSE_DECLARATION, service)
                if claims is not None and f"{claims.get('id')}@{claims.get('version')}" == identifier:
                    # One that its owner did not sign is no declaration; a right one may stand behind it.
                    with suppress(MessageError):
                        declared, message = verify_purpose_declaration(compact, key_of)
                        return declared, message.digest
        raise MessageError("purpose declaration: the service has none of this name and version")

    def data_declaration(
        self, holder: str, attributes: tuple[str, ...], key_of: Callable[[str], PublicKey]
    ) -> DataDeclaration:
        """The newest that this data holder signed over all these attributes. Raises MessageError, PeerUnavailable."""
        for lists in self._known_then_fresh():
            found: list[DataDeclaration] = []
            for compact in lists.declarations:
                if _claims(compact, spec.TYP_DATA_DECLARATION, holder) is not None:
                    with suppress(MessageError):
                        found.append(verify_data_declaration(compact, key_of)[0])
            covering = [one for one in found if one.attributes.keys() >= set(attributes)]
            if covering:
                return max(covering, key=lambda one: one.version)
        raise MessageError("data declaration: the data holder has none with these attributes")

    def declare(self, compact: str) -> None:
        """Registers a declaration; the same again changes nothing. Raises LedgerConflict, PeerUnavailable."""
        url = f"{address(self._party())}/declarations"
        answer = self._client.post(url, compact.encode("ascii"), media_type=spec.MEDIA_JWT)
        if answer.status == 409:
            raise LedgerConflict(answer.error() or "taken")
        if answer.status != 201:
            raise PeerUnavailable(f"consent service: it answered {answer.status} to a declaration")

    def refresh(self) -> _Lists:
        """Asks anew. Raises PeerUnavailable, MessageError, and LogError where a number changed."""
        with self._lock:
            base = address(self._party())
            numbered = self._object(f"{base}/services")
            fresh = _Lists(
                _numbers(numbered, "services", "id"),
                _numbers(numbered, "purposes", "iri"),
                _declarations(self._object(f"{base}/declarations")),
            )
            for before, after in ((self._lists.services, fresh.services), (self._lists.purposes, fresh.purposes)):
                if any(after.get(name) != number for name, number in before.items()):
                    raise LogError("services: a published number has changed")
            if self._kept is not None and fresh != self._lists:
                # Without the file it is asked for again after a restart: no reason to refuse anything now.
                with suppress(OSError):
                    durable.replace(self._kept, strict_json.compact(fresh.to_json()))
            self._lists = fresh
            return fresh

    def _known_then_fresh(self) -> Iterator[_Lists]:
        yield self._lists
        yield self.refresh()

    def _object(self, url: str) -> dict[str, Any]:
        answer = self._client.get(url, max_bytes=MAX_LIST_BYTES)
        if answer.status != 200:
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        return answer.object()


def listed(registry: Callable[[], VerifiedRegistry], consent: str, clock: Clock) -> Callable[[], Party]:
    """The consent service of this id as today's list has it; PeerUnavailable where it is not there in this role."""

    def party() -> Party:
        try:
            found = registry().party(consent, now=clock())
        except TrustError as fault:
            raise PeerUnavailable(str(fault)) from None
        if CONSENT_ROLE not in found.roles:
            raise PeerUnavailable(f"registry: {consent} is not listed as {CONSENT_ROLE}")
        return found

    return party


def address(party: Party) -> str:
    """Where a consent service answers, from the list and nowhere else. Raises PeerUnavailable."""
    found = party.endpoints.get("consent")
    if found is None:
        raise PeerUnavailable("registry: the consent service is listed without an address")
    return found.rstrip("/")


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


def _claims(compact: str, typ: str, owner: str) -> dict[str, Any] | None:
    """What it claims, if it claims to be of this kind and owner; whether it is, its signature says."""
    try:
        parsed = jws.parse(compact, what="declaration")
        claims = parsed.claims()
    except IdentityError:
        return None
    return claims if parsed.header.get("typ") == typ and claims.get("iss") == owner else None
