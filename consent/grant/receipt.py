"""The receipt (WIRE C9): what a resident keeps of an act, in the words of ISO/IEC TS 27560 and DPV.

It holds the whole signed grant, the notice that was given, how to withdraw, and the event with the
proof that the log has it; so it can be checked years later, offline, with the log's pinned key
alone (``consent.ledger.receipt``). The consent service cannot read the event: it serves the
receipt with the sealed event, and the wallet opens it and stores the form with event and salt.

JSON-LD contexts are never fetched: they lie beside this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.grant.opening import open_event
from consent.signed_message import exact, reading
from identity.codec import base64url, members, strict_json
from identity.keys.agreement import AgreementPrivateKey

SCHEMA_VERSION = "atorga-27560/1"
TYPE = "ConsentReceipt"
CONTEXTS = ("urn:atorga:context:dpv:2.3", "urn:atorga:context:receipt:1")
_FILES = dict(zip(CONTEXTS, ("dpv-2.3.jsonld", "receipt-1.jsonld"), strict=True))

RIGHTS = tuple(f"https://w3id.org/dpv/legal/eu/gdpr#{term}" for term in ("A7-3", "A15", "A17", "A18", "A20", "A77"))
"""Withdraw consent, access, erasure, restriction, portability, complaint (DPV, EU-GDPR rights)."""

MAX_RECEIPT_BYTES = 262_144
"""A grant with its request, a notice, a proof."""

MAX_NOTICE = 4_000
_MAX_PROOF = 32_768
_WHAT = "receipt"
_COMMON = frozenset(
    {"@context", "type", "receipt_id", "schema_version", "grant", "notice", "controller", "withdrawal", "rights"}
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What the service told, in one language."""

    language: str
    text: str

    @property
    def digest(self) -> str:
        return base64url.encode(sha256(self.text.encode()).digest())

    def to_json(self) -> dict[str, Any]:
        return {"language": self.language, "text": self.text, "hash": self.digest}


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for what is done with the data: the service, as the registry lists it."""

    id: str
    name: Mapping[str, str]
    legal_entity: str
    contact: str

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": dict(self.name),
            "legal_entity": self.legal_entity,
            "contact": self.contact,
        }


@dataclass(frozen=True, slots=True)
class ReceiptHead:
    """What all forms of a receipt share."""

    id: str
    grant: str
    notice: Notice
    controller: Controller
    withdrawal_url: str

    def to_json(self) -> dict[str, Any]:
        return {
            "@context": list(CONTEXTS),
            "type": TYPE,
            "receipt_id": self.id,
            "schema_version": SCHEMA_VERSION,
            "grant": self.grant,
            "notice": self.notice.to_json(),
            "controller": self.controller.to_json(),
            "withdrawal": {"url": self.withdrawal_url, "steps": 1},
            "rights": list(RIGHTS),
        }


@dataclass(frozen=True, slots=True)
class ServedReceipt:
    """As the consent service hands it out: proved, or promised, but not readable by it."""

    head: ReceiptHead
    sealed: str
    leaf_index: int | None
    proof: str | None
    promise: str | None

    def to_json(self) -> dict[str, Any]:
        logged = {"promise": self.promise} if self.proof is None else {"tlog_proof": self.proof}
        return self.head.to_json() | {"sealed": self.sealed, "leaf_index": self.leaf_index} | logged

    def opened(self, opening: AgreementPrivateKey, *, grant_id: str, counter: int) -> "UnverifiedReceipt":
        """The form that is kept. Raises MessageError, also while the leaf is only promised."""
        if self.proof is None:
            raise MessageError(f"{_WHAT}: not in the log yet")
        found = open_event(opening, self.sealed, leaf_id=grant_id, counter=counter)
        return UnverifiedReceipt(self.head, found.event, found.salt, self.proof)


@dataclass(frozen=True, slots=True)
class UnverifiedReceipt:
    """The form that is kept; ``consent.ledger.receipt`` checks it."""

    head: ReceiptHead
    event: Mapping[str, Any]
    salt: bytes
    proof: str

    def to_json(self) -> dict[str, Any]:
        return self.head.to_json() | {
            "event": dict(self.event),
            "salt": base64url.encode(self.salt),
            "tlog_proof": self.proof,
        }


def parse_served(value: Mapping[str, Any]) -> ServedReceipt:
    """The answer of ``GET /me/receipts/{id}``. Raises MessageError."""
    logged = "tlog_proof" if "tlog_proof" in value else "promise"
    exact(value, _WHAT, _COMMON | {"sealed", "leaf_index", logged})
    with reading(_WHAT):
        proved = logged == "tlog_proof"
        if proved == (value["leaf_index"] is None):
            raise MessageError(f"{_WHAT}: leaf_index is there with the proof, and null with a promise")
        return ServedReceipt(
            _head(value),
            sealed=members.text(value, "sealed", what=_WHAT, max_length=spec.MAX_JWS),
            leaf_index=members.integer(value, "leaf_index", what=_WHAT) if proved else None,
            proof=members.text(value, "tlog_proof", what=_WHAT, max_length=_MAX_PROOF) if proved else None,
            promise=None if proved else members.text(value, "promise", what=_WHAT),
        )


def parse_receipt(data: bytes | str) -> UnverifiedReceipt:
    """A kept receipt, as a file. Raises MessageError."""
    with reading(_WHAT):
        return parse_receipt_object(strict_json.parse_object(data, what=_WHAT, max_bytes=MAX_RECEIPT_BYTES))


def parse_receipt_object(value: Mapping[str, Any]) -> UnverifiedReceipt:
    """The same inside another file, which has its own limit. Raises MessageError."""
    with reading(_WHAT):
        exact(value, _WHAT, _COMMON | {"event", "salt", "tlog_proof"})
        return UnverifiedReceipt(
            _head(value),
            event=members.mapping(value, "event", what=_WHAT),
            salt=base64url.decode(members.digest(value, "salt", what=_WHAT)),
            proof=members.text(value, "tlog_proof", what=_WHAT, max_length=_MAX_PROOF),
        )


def context(iri: str) -> str:
    """The JSON-LD document behind one of CONTEXTS."""
    return (files("consent.grant") / "contexts" / _FILES[iri]).read_text(encoding="utf-8")


def _head(value: Mapping[str, Any]) -> ReceiptHead:
    if value["@context"] != list(CONTEXTS) or value["type"] != TYPE or value["schema_version"] != SCHEMA_VERSION:
        raise MessageError(f"{_WHAT}: not a {TYPE} of {SCHEMA_VERSION}")
    withdrawal = members.mapping(value, "withdrawal", what=_WHAT)
    exact(withdrawal, _WHAT, frozenset({"url", "steps"}))
    members.integer(withdrawal, "steps", what=_WHAT, minimum=1, maximum=1)
    if value["rights"] != list(RIGHTS):
        raise MessageError(f"{_WHAT}: other rights than {SCHEMA_VERSION} names")
    return ReceiptHead(
        id=members.identifier(value, "receipt_id", what=_WHAT),
        grant=members.text(value, "grant", what=_WHAT, max_length=spec.MAX_JWS),
        notice=_notice(members.mapping(value, "notice", what=_WHAT)),
        controller=_controller(members.mapping(value, "controller", what=_WHAT)),
        withdrawal_url=members.text(withdrawal, "url", what=_WHAT),
    )


def _notice(value: Mapping[str, Any]) -> Notice:
    exact(value, _WHAT, frozenset({"language", "text", "hash"}))
    notice = Notice(
        members.text(value, "language", what=_WHAT, max_length=35),
        members.text(value, "text", what=_WHAT, max_length=MAX_NOTICE),
    )
    if value["hash"] != notice.digest:
        raise MessageError(f"{_WHAT}: the notice's hash is not of its text")
    return notice


def _controller(value: Mapping[str, Any]) -> Controller:
    exact(value, _WHAT, frozenset({"id", "name", "legal_entity", "contact"}))
    name = members.mapping(value, "name", what=_WHAT)
    return Controller(
        id=members.text(value, "id", what=_WHAT, max_length=spec.MAX_PARTY_ID),
        name={language: members.text(name, language, what=_WHAT) for language in name},
        legal_entity=members.text(value, "legal_entity", what=_WHAT),
        contact=members.text(value, "contact", what=_WHAT),
    )
