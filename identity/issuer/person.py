"""Who is issued to. A person lives in memory for a request, and sealed (`identity.issuer.sealing`) between two."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from identity.card.verify import VerifiedCard
from identity.codec import strict_json
from identity.codec.members import exact_members, text
from identity.errors import EncodingError

NUMBER_RULE = "es-nif"
"""Whose numbers these are: a number of another country that looks the same is another person's."""

ASSURANCE = ("low", "substantial", "high")


@dataclass(frozen=True, slots=True)
class Person:
    """As a card or a register names them. The text form hides them."""

    id_number: str = field(repr=False)
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    birthdate: date | None = field(repr=False)
    assurance: str

    def __post_init__(self) -> None:
        if self.assurance not in ASSURANCE:
            raise ValueError(f"person: assurance is one of {', '.join(ASSURANCE)}")

    @classmethod
    def from_card(cls, card: VerifiedCard) -> "Person":
        return cls(card.id_number, card.given_name, card.family_name, card.birthdate, card.assurance_level)

    def reaches(self, assurance: str) -> bool:
        return ASSURANCE.index(self.assurance) >= ASSURANCE.index(assurance)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose credentials an issuance gives: a person proven by a card, or a row of a register.

    A row is read again for each batch; a card is not shown again, so its data travel sealed with
    the tokens, for as long as the issuance lasts.
    """

    person: Person | None
    row: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.person is None) == (self.row is None):
            raise ValueError("subject: either a person or a row")


def format_subject(subject: Subject) -> bytes:
    if subject.person is None:
        return strict_json.compact({"row": subject.row})
    person = subject.person
    obj: dict[str, Any] = {
        "id_number": person.id_number,
        "given_name": person.given_name,
        "family_name": person.family_name,
        "assurance": person.assurance,
    }
    if person.birthdate is not None:
        obj["birthdate"] = person.birthdate.isoformat()
    return strict_json.compact(obj)


def parse_subject(data: bytes) -> Subject:
    """Raises EncodingError; only a row of another version of this program could make it."""
    what = "sealed subject"
    obj = strict_json.parse_object(data, what=what)
    if "row" in obj:
        exact_members(obj, what=what, required={"row"})
        return Subject(None, text(obj, "row", what=what))
    exact_members(
        obj,
        what=what,
        required={"id_number", "given_name", "family_name", "assurance"},
        optional={"birthdate"},
    )
    try:
        birthdate = date.fromisoformat(obj["birthdate"]) if "birthdate" in obj else None
        return Subject(
            Person(
                text(obj, "id_number", what=what),
                text(obj, "given_name", what=what),
                text(obj, "family_name", what=what),
                birthdate,
                text(obj, "assurance", what=what),
            )
        )
    except (TypeError, ValueError):
        raise EncodingError(f"{what}: cannot be read") from None
