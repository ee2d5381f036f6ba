"""Declarations (WIRE C13): what a service may ask for, and what a data holder may release.

Each is signed by its owner's registry key. A data declaration carries the data holder's HPKE key:
wallets and services read it nowhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.signed_message import SignedMessage, exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.envelope import jws
from identity.keys.agreement import AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

LEGAL_BASES = ("consent", "legal-obligation", "public-task", "vital-interest")
MAX_ID = 64
MAX_HOLDERS = 16
MAX_RESOLUTIONS = 16
MAX_LANGUAGES = 24
MAX_NOTICE = 4_000
MAX_VERSION = 1_000_000
MAX_RETENTION_SECONDS = 100 * 366 * 86_400
MAX_PATH = 8
RESOLUTION_FAMILIES = ("binned", "average", "coarse", "predicate")


@dataclass(frozen=True, slots=True)
class PurposeDeclaration:
    iss: str
    id: str
    version: int
    procedure: str
    purpose: str
    datatypes: tuple[str, ...]
    holders: tuple[str, ...]
    legal_basis: str
    retention_seconds: int
    notice: Mapping[str, str]
    sensitive: bool

    @property
    def identifier(self) -> str:
        """As a request names it."""
        return f"{self.id}@{self.version}"

    def claims(self) -> dict[str, Any]:
        return {
            "iss": self.iss,
            "id": self.id,
            "version": self.version,
            "procedure": self.procedure,
            "purpose": self.purpose,
            "datatypes": list(self.datatypes),
            "holders": list(self.holders),
            "legal_basis": self.legal_basis,
            "retention_seconds": self.retention_seconds,
            "notice": dict(self.notice),
            "sensitive": self.sensitive,
        }


@dataclass(frozen=True, slots=True)
class DeclaredAttribute:
    """``resolutions`` finest first."""

    category: str
    resolutions: tuple[str, ...]
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataDeclaration:
    iss: str
    id: str
    version: int
    row_vct: str
    row_path: tuple[str, ...]
    hpke: AgreementPublicKey
    attributes: Mapping[str, DeclaredAttribute]

    @property
    def resolutions(self) -> dict[str, tuple[str, ...]]:
        return {name: attribute.resolutions for name, attribute in self.attributes.items()}

    def claims(self) -> dict[str, Any]:
        return {
            "iss": self.iss,
            "id": self.id,
            "version": self.version,
            "row": {"vct": self.row_vct, "path": list(self.row_path)},
            "hpke": self.hpke.jwk(),
            "attributes": {
                name: {
                    "category": attribute.category,
                    "resolutions": list(attribute.resolutions),
                    "purposes": list(attribute.purposes),
                }
                for name, attribute in self.attributes.items()
            },
        }


Declaration = PurposeDeclaration | DataDeclaration


def sign_declaration(declaration: Declaration, signer: Signer) -> str:
    typ = spec.TYP_PURPOSE_DECLARATION if isinstance(declaration, PurposeDeclaration) else spec.TYP_DATA_DECLARATION
    return sign_by_kid(declaration.claims(), signer, typ=typ)


def verify_purpose_declaration(
    compact: str, key_of: Callable[[str], PublicKey]
) -> tuple[PurposeDeclaration, SignedMessage]:
    """``key_of`` gives a party's registry key by its id, or raises. Raises MessageError."""
    what = "purpose declaration"
    message = _verify(compact, key_of, typ=spec.TYP_PURPOSE_DECLARATION, what=what)
    return _purpose_declaration(message.claims, what), message


def verify_data_declaration(compact: str, key_of: Callable[[str], PublicKey]) -> tuple[DataDeclaration, SignedMessage]:
    what = "data declaration"
    message = _verify(compact, key_of, typ=spec.TYP_DATA_DECLARATION, what=what)
    return _data_declaration(message.claims, what), message


def verify_declaration(
    compact: str, *, service_key: Callable[[str], PublicKey], holder_key: Callable[[str], PublicKey]
) -> tuple[Declaration, SignedMessage]:
    """Either kind, as its own ``typ`` says: a service signs the one, a data holder the other."""
    if _typ(compact) == spec.TYP_DATA_DECLARATION:
        return verify_data_declaration(compact, holder_key)
    return verify_purpose_declaration(compact, service_key)


def read_stored(compact: str) -> Declaration:
    """A declaration from our own store: its signature was checked when it came, and its owner's key may
    have changed since. Raises MessageError.
    """
    with reading("declaration"):
        claims = jws.parse(compact, what="declaration").claims()
    if _typ(compact) == spec.TYP_DATA_DECLARATION:
        return _data_declaration(claims, "data declaration")
    return _purpose_declaration(claims, "purpose declaration")


def _typ(compact: str) -> object:
    with reading("declaration"):
        return jws.parse(compact, what="declaration").header.get("typ")


def _verify(compact: str, key_of: Callable[[str], PublicKey], *, typ: str, what: str) -> SignedMessage:
    return verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=what, max_length=spec.MAX_PARTY_ID)),
        typ=typ,
        what=what,
    )


def _purpose_declaration(claims: Mapping[str, Any], what: str) -> PurposeDeclaration:
    exact(claims, what, frozenset(PurposeDeclaration.__slots__))
    with reading(what):
        declaration = PurposeDeclaration(
            iss=members.text(claims, "iss", what=what, max_length=spec.MAX_PARTY_ID),
            id=members.text(claims, "id", what=what, max_length=MAX_ID),
            version=members.integer(claims, "version", what=what, minimum=1, maximum=MAX_VERSION),
            procedure=members.text(claims, "procedure", what=what, max_length=MAX_ID),
            purpose=members.text(claims, "purpose", what=what),
            datatypes=members.texts(
                claims, "datatypes", what=what, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            ),
            holders=members.texts(claims, "holders", what=what, max_count=MAX_HOLDERS, max_length=spec.MAX_PARTY_ID),
            legal_basis=members.text(claims, "legal_basis", what=what),
            retention_seconds=members.integer(
                claims, "retention_seconds", what=what, minimum=1, maximum=MAX_RETENTION_SECONDS
            ),
            notice=_notice(members.mapping(claims, "notice", what=what), what),
            sensitive=members.boolean(claims, "sensitive", what=what),
        )
    if "@" in declaration.id:
        raise MessageError(f"{what}: an id has no @")
    if declaration.legal_basis not in LEGAL_BASES:
        raise MessageError(f"{what}: legal_basis must be one of {', '.join(LEGAL_BASES)}")
    return declaration


def _notice(value: Mapping[str, Any], what: str) -> dict[str, str]:
    if not 1 <= len(value) <= MAX_LANGUAGES:
        raise MessageError(f"{what}: notice must hold 1 to {MAX_LANGUAGES} languages")
    return {language: members.text(value, language, what=what, max_length=MAX_NOTICE) for language in value}


def _data_declaration(claims: Mapping[str, Any], what: str) -> DataDeclaration:
    exact(claims, what, frozenset({"iss", "id", "version", "row", "hpke", "attributes"}))
    with reading(what):
        row = members.mapping(claims, "row", what=what)
        exact(row, what, frozenset({"vct", "path"}))
        attributes = members.mapping(claims, "attributes", what=what)
        if not 1 <= len(attributes) <= spec.MAX_ATTRIBUTES:
            raise MessageError(f"{what}: 1 to {spec.MAX_ATTRIBUTES} attributes are expected")
        return DataDeclaration(
            iss=members.text(claims, "iss", what=what, max_length=spec.MAX_PARTY_ID),
            id=members.text(claims, "id", what=what, max_length=MAX_ID),
            version=members.integer(claims, "version", what=what, minimum=1, maximum=MAX_VERSION),
            row_vct=members.text(row, "vct", what=what),
            row_path=members.texts(row, "path", what=what, max_count=MAX_PATH),
            hpke=AgreementPublicKey.from_jwk(members.mapping(claims, "hpke", what=what)),
            attributes={name: _attribute(attributes, name, what) for name in attributes},
        )


def _attribute(attributes: Mapping[str, Any], name: str, what: str) -> DeclaredAttribute:
    if not 0 < len(name) <= spec.MAX_ATTRIBUTE_NAME:
        raise MessageError(f"{what}: an attribute's name has 1 to {spec.MAX_ATTRIBUTE_NAME} characters")
    value = members.mapping(attributes, name, what=what)
    exact(value, what, frozenset({"category", "resolutions", "purposes"}))
    attribute = DeclaredAttribute(
        category=members.text(value, "category", what=what),
        resolutions=members.texts(value, "resolutions", what=what, max_count=MAX_RESOLUTIONS, max_length=64),
        purposes=members.texts(value, "purposes", what=what, max_count=spec.MAX_ATTRIBUTES),
    )
    for resolution in attribute.resolutions:
        require_resolution(resolution, what=what)
    return attribute


def require_resolution(resolution: str, *, what: str) -> None:
    """``raw``, or a family and a name: ``binned:NAME``, ``average:SECONDS`` … Raises MessageError."""
    family, colon, name = resolution.partition(":")
    if resolution != "raw" and (family not in RESOLUTION_FAMILIES or not colon or not name):
        raise MessageError(f"{what}: a resolution is raw, binned:, average:, coarse: or predicate:")
