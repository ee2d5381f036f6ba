"""What goes into a credential: from the person, the register or the list of organisations, at this moment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from identity.clock import Clock
from identity.errors import ProtocolError, SdJwtError
from identity.formats.sd_jwt.claim_path import ClaimPath, select
from identity.issuer import pairwise
from identity.issuer.credential_type import CredentialType
from identity.issuer.person import Person, Subject
from identity.issuer.register import Register
from identity.keys.keyed_hash import KeyedHash
from identity.openid4vci.spec import CREDENTIAL_REQUEST_DENIED

AGES = (16, 18, 65)

WITH_IDENTIFIERS = ("pairwise", "mandate")
"""Sources of types whose ``ids`` are disclosed one by one."""

REPRESENTED = "represented"
LISTS = ("verbs", "purposes")
"""Columns of a register of mandates: the represented person's number; words with spaces between."""

Organisations = Callable[[], Sequence[str]]
"""The ids of all organisations of the signed list that residents have an identifier at, always in the same order."""


@dataclass(frozen=True, slots=True)
class Content:
    claims: dict[str, Any]
    disclosable: tuple[ClaimPath, ...]

    def __repr__(self) -> str:
        return f"Content({len(self.claims)} claims)"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the claims of one town hall come from."""

    registers: Mapping[str, Register]
    row_register: str | None
    """Whose rows the subjects of offers are."""
    keyed_hash: KeyedHash
    scope: str
    """The town hall's name: each has keys of its own."""
    organisations: Organisations
    clock: Clock

    def person(self, subject: Subject) -> Person:
        """Raises ProtocolError where there is nobody, SourceUnavailable where the register is silent."""
        if subject.person is not None:
            return subject.person
        register = self.registers.get(self.row_register or "")
        found = None if register is None or subject.row is None else register.person(subject.row)
        if found is None:
            raise _denied("the register has no such row")
        return found

    def person_hash(self, person: Person) -> bytes:
        return pairwise.person_hash(person, self.keyed_hash, f"{self.scope}/subject")

    def datasets(self, kind: CredentialType) -> int:
        """How many credentials a type makes for one person: more than one where organisations fill several."""
        return len(pairwise.shards(self.organisations())) if kind.source in WITH_IDENTIFIERS else 1

    def content(self, kind: CredentialType, person: Person, dataset: int) -> Content:
        """Raises ProtocolError where this person cannot have it; KeyUnavailable, SourceUnavailable, TrustError."""
        if not person.reaches(kind.assurance):
            raise _denied(f"{kind.configuration} needs assurance level {kind.assurance}")
        claims = self._claims(kind, person, dataset)
        disclosable: list[ClaimPath] = []
        for claim in kind.claims:
            if not _has(claims, claim.path):
                if claim.required:
                    raise _denied(f"{kind.configuration}: {'.'.join(map(str, claim.path))} is not known")
            elif claim.disclosable:
                disclosable.append(claim.path)
        if kind.source in WITH_IDENTIFIERS:
            disclosable += [("ids", organisation) for organisation in claims["ids"]]
        return Content(claims, tuple(disclosable))

    def require_available(self, kind: CredentialType, person: Person) -> None:
        """Before a code is given: whether this person can have it now. Raises as ``content``."""
        if kind.source == "pairwise":
            if not person.reaches(kind.assurance):
                raise _denied(f"{kind.configuration} needs assurance level {kind.assurance}")
        else:
            self.content(kind, person, 0)

    def _claims(self, kind: CredentialType, person: Person, dataset: int) -> dict[str, Any]:
        if kind.source == "person":
            return _of_person(person, datetime.fromtimestamp(self.clock(), UTC).date())
        if kind.source == "pairwise":
            return {"ids": self._identifiers(kind, person, dataset)}
        register = self.registers[kind.register or ""]
        found = register.claims(person.id_number)
        if found is None:
            raise _denied(f"{kind.configuration}: the person is not in the register")
        if kind.source == "mandate":
            found = self._mandate(kind, person, found, dataset)
        known = {claim.path[0] for claim in kind.claims}
        return {name: value for name, value in found.items() if name in known}

    def _identifiers(self, kind: CredentialType, person: Person, dataset: int) -> dict[str, str]:
        shards = pairwise.shards(self.organisations())
        if dataset >= len(shards):
            raise _denied(f"{kind.configuration}: there is no such dataset any more")
        return pairwise.identifiers(person, shards[dataset], self.keyed_hash, f"{self.scope}/pairwise")

    def _mandate(self, kind: CredentialType, person: Person, found: Mapping[str, Any], dataset: int) -> dict[str, Any]:
        """The represented person's number goes no further than into the identifiers made from it."""
        represented = found.get(REPRESENTED)
        if not isinstance(represented, str) or represented == person.id_number:
            raise _denied(f"{kind.configuration}: the register names nobody else")
        lists = {name: value.split() for name in LISTS if isinstance(value := found.get(name), str)}
        ids = self._identifiers(kind, replace(person, id_number=represented), dataset)
        return {**{name: value for name, value in found.items() if name != REPRESENTED}, **lists, "ids": ids}


def _of_person(person: Person, today: date) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "given_name": person.given_name,
        "family_name": person.family_name,
        "personal_administrative_number": person.id_number,
    }
    if person.birthdate is not None:
        claims["birthdate"] = person.birthdate.isoformat()
        claims["age_equal_or_over"] = {str(age): age_at(person.birthdate, today) >= age for age in AGES}
    return claims


def age_at(birthdate: date, today: date) -> int:
    """Full years; who was born on 29 February has a birthday on 1 March (Código Civil, art. 315 and 5)."""
    return today.year - birthdate.year - ((today.month, today.day) < (birthdate.month, birthdate.day))


def _has(claims: Mapping[str, Any], path: ClaimPath) -> bool:
    try:
        return bool(select(claims, path))
    except SdJwtError:
        return False


def _denied(reason: str) -> ProtocolError:
    return ProtocolError(CREDENTIAL_REQUEST_DENIED, reason)
