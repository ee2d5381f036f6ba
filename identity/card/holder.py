"""Who the card is about: from the subject of a proven certificate to claims.

A distinguished name is never read as text. Its parts are walked one by one, since what looks like
``SERIALNUMBER=…`` inside a common name is part of a name and nothing else. Refused are: two
attributes in one part, an attribute twice, control and format characters (a NUL, an override of the
writing direction), text that is not NFC, letters that are not Latin.

The DNIe puts the *first* surname into SN and both into the common name, in the form
``SURNAMES, GIVEN NAMES (AUTENTICACIÓN)``. So the family name is what stands before the comma, once
SN and GN agree with it.

No error here quotes a value: each of them is a person's.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from identity.card.profile import CardProfile
from identity.errors import CardError

MAX_VALUE = 256
"""Characters of one attribute; the longest common name seen on a DNIe had 93."""

MAX_PARTS = 16
"""Parts of the subject's name; a DNIe has five."""

NIF_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
"""Orden EHA/451/2008: the letter of a number is the one at its remainder by 23."""

NAME_MARKS = frozenset(" -'’·.ªº")
"""What stands in names beside letters (l·l, Mª)."""

_NIF = re.compile(r"([0-9]{8}|[XYZ][0-9]{7})([A-Z])", re.ASCII)

_DIRECTORY_ATTRIBUTES = x509.ObjectIdentifier("2.5.29.9")
_DATE_OF_BIRTH = "1.3.6.1.5.5.7.9.1"
_MAX_DIRECTORY_BYTES = 4_096

_WHAT = "card certificate: subject"
_SPELLED = {
    NameOID.SERIAL_NUMBER: "serialNumber", NameOID.SURNAME: "SN", NameOID.GIVEN_NAME: "GN", NameOID.COMMON_NAME: "CN",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holder:
    """The person of a certificate. Its text form hides them."""

    id_number: str = field(repr=False)
    """Without a prefix, as people write it: NIF or NIE."""
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    """Both surnames where there are two."""
    birth_date: date | None = field(repr=False)


def read_holder(certificate: x509.Certificate, profile: CardProfile) -> Holder:
    """Only for a certificate whose path is verified. Raises CardError."""
    values = _subject(certificate.subject)
    if values.get(NameOID.COUNTRY_NAME) != profile.country:
        raise CardError(f"{_WHAT}: the country is not {profile.country}")
    given_name = _person_name(values, NameOID.GIVEN_NAME)
    return Holder(
        id_number=_number(_required(values, NameOID.SERIAL_NUMBER), profile),
        given_name=given_name,
        family_name=_family_name(values, given_name, profile),
        birth_date=_birth_date(certificate) if profile.birth_date else None,
    )


def nif_letter(digits: str) -> str:
    """The letter of a NIF's eight digits or a NIE's X, Y or Z and seven digits."""
    return NIF_LETTERS[int(digits.translate(str.maketrans("XYZ", "012"))) % 23]


def _subject(name: x509.Name) -> dict[x509.ObjectIdentifier, str]:
    values: dict[x509.ObjectIdentifier, str] = {}
    if len(name.rdns) > MAX_PARTS:
        raise CardError(f"{_WHAT}: more than {MAX_PARTS} parts")
    for rdn in name.rdns:
        if len(rdn) != 1:
            raise CardError(f"{_WHAT}: two attributes in one part of the name")
        (attribute,) = rdn
        if attribute.oid in values:
            raise CardError(f"{_WHAT}: an attribute stands twice")
        values[attribute.oid] = _plain(attribute.value)
    return values


def _plain(value: str | bytes) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_VALUE:
        raise CardError(f"{_WHAT}: an attribute is not a text of 1 to {MAX_VALUE} characters")
    if not unicodedata.is_normalized("NFC", value):
        raise CardError(f"{_WHAT}: an attribute is not in Unicode's form NFC")
    for character in value:
        category = unicodedata.category(character)
        # C…: control, format, surrogate, private, unassigned; Z… other than the space; M…: what NFC left to combine
        if category[0] in "CM" or (category[0] == "Z" and character != " "):
            raise CardError(f"{_WHAT}: a character that cannot be seen, or that changes another")
        if category[0] == "L" and character not in NAME_MARKS and not _is_latin(character):
            raise CardError(f"{_WHAT}: a letter that is not Latin")
        if category == "Nd" and not character.isascii():
            raise CardError(f"{_WHAT}: a digit that is not ASCII")
    return value


def _is_latin(letter: str) -> bool:
    # Full-width letters are Latin by name only; their compatible form is another character.
    return unicodedata.name(letter, "").startswith("LATIN ") and unicodedata.normalize("NFKC", letter) == letter


def _required(values: dict[x509.ObjectIdentifier, str], oid: x509.ObjectIdentifier) -> str:
    value = values.get(oid)
    if value is None:
        raise CardError(f"{_WHAT}: {_SPELLED[oid]} is missing")
    return value


def _person_name(values: dict[x509.ObjectIdentifier, str], oid: x509.ObjectIdentifier) -> str:
    value = _required(values, oid)
    _require_name(value)
    return value


def _require_name(value: str) -> None:
    if not any(character.isalpha() for character in value):
        raise CardError(f"{_WHAT}: a name has no letter")
    if not all(character.isalpha() or character in NAME_MARKS for character in value):
        raise CardError(f"{_WHAT}: a name holds what names do not hold")
    if value != value.strip() or "  " in value:
        raise CardError(f"{_WHAT}: a name has spaces at its ends or two together")


def _family_name(values: dict[x509.ObjectIdentifier, str], given_name: str, profile: CardProfile) -> str:
    common_name = _required(values, NameOID.COMMON_NAME)
    first = _person_name(values, NameOID.SURNAME)
    for ending in profile.common_name_endings:
        family_name = common_name.removesuffix(f", {given_name}{ending}")
        if family_name != common_name and (family_name == first or family_name.startswith(f"{first} ")):
            _require_name(family_name)
            return family_name
    raise CardError(f"{_WHAT}: the common name does not say the same as the other names")


def _number(value: str, profile: CardProfile) -> str:
    # The one rule there is; a second one makes this a table (NUMBER_RULES).
    for prefix in profile.number_prefixes:
        found = _NIF.fullmatch(value.removeprefix(prefix)) if value.startswith(prefix) else None
        if found is not None and nif_letter(found[1]) == found[2]:
            return found[0]
    raise CardError(f"{_WHAT}: the number is no NIF or NIE with its letter, in a form of {profile.id!r}")


def _birth_date(certificate: x509.Certificate) -> date | None:
    """RFC 3739 section 3.2.2: dateOfBirth, a GeneralizedTime at noon GMT."""
    try:
        extension = certificate.extensions.get_extension_for_oid(_DIRECTORY_ATTRIBUTES)
    except x509.ExtensionNotFound:
        return None
    raw = extension.value.public_bytes()
    if len(raw) > _MAX_DIRECTORY_BYTES:
        raise CardError(f"{_WHAT}: directory attributes of more than {_MAX_DIRECTORY_BYTES} bytes")
    found = _dates_of_birth(raw)
    if not found:
        return None
    if len(found) != 1:
        raise CardError(f"{_WHAT}: two dates of birth")
    born = found[0].astimezone(UTC).date()
    if not date(1880, 1, 1) <= born <= certificate.not_valid_before_utc.date():
        raise CardError(f"{_WHAT}: the date of birth is no date on which a holder can be born")
    return born


def _dates_of_birth(raw: bytes) -> list[datetime]:
    # Comes with pyhanko-certvalidator; heavy for whoever only makes a token.
    from asn1crypto import core
    from asn1crypto import x509 as asn1_x509

    found: list[datetime] = []
    try:
        for attribute in asn1_x509.Attributes.load(raw, strict=True):
            if attribute["type"].dotted != _DATE_OF_BIRTH:
                continue
            for value in attribute["values"]:
                found.append(core.GeneralizedTime.load(value.dump(), strict=True).native)
        if not all(isinstance(item, datetime) and item.tzinfo is not None for item in found):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CardError(f"{_WHAT}: the directory attributes cannot be read") from None
    return found
