"""Mandates (DESIGN §7): a credential that lets one person act for another, within verbs and purposes, for a time.

The credential names the represented person by the identifier that the consent service knows, and
nobody else does. It is presented once, for a key of its own; its status is looked at at each act.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import MessageError
from consent.procedure.vocabulary import require_purpose
from consent.signed_message import exact, reading
from identity.codec import members

GUARDIAN, HELPER = "guardian", "helper"
ROLES = (GUARDIAN, HELPER)

READ, WITHDRAW, PAUSE, OPPOSE, GRANT = "read", "withdraw", "pause", "oppose", "grant"
VERBS = (READ, WITHDRAW, PAUSE, OPPOSE, GRANT)
"""``grant`` is to answer requests, yes or no. To erase, export, recover or open mailboxes nobody can be mandated."""

ALL_PURPOSES = "*"
MAX_PURPOSES = 64
MAX_SECONDS = 366 * 86_400
"""Twelve months: a mandate is renewed by whoever gave it, not forgotten."""

_WHAT = "mandate"


@dataclass(frozen=True, slots=True)
class Mandate:
    role: str
    verbs: tuple[str, ...]
    purposes: tuple[str, ...]
    """IRIs, or ``*`` alone."""
    until: int

    def covers(self, purpose: str) -> bool:
        return self.covers_all or purpose in self.purposes

    @property
    def covers_all(self) -> bool:
        return self.purposes == (ALL_PURPOSES,)

    def to_json(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "verbs": list(self.verbs),
            "purposes": list(self.purposes),
            "until": self.until,
        }


def read_mandate(claims: Mapping[str, Any], *, now: int) -> Mandate:
    """The claims of a mandate credential that was checked as one. Raises MessageError.

    1. A role, verbs and purposes that exist.
    2. Only a guardian answers requests, and whoever may give may take back.
    3. It ends, within twelve months.
    """
    # 1
    with reading(_WHAT):
        mandate = Mandate(
            role=members.text(claims, "role", what=_WHAT, max_length=32),
            verbs=members.texts(claims, "verbs", what=_WHAT, max_count=len(VERBS), max_length=32),
            purposes=members.texts(claims, "purposes", what=_WHAT, max_count=MAX_PURPOSES),
            until=members.integer(claims, "until", what=_WHAT),
        )
    if mandate.role not in ROLES or set(mandate.verbs) - set(VERBS):
        raise MessageError(f"{_WHAT}: a role or a verb that does not exist")
    if not mandate.covers_all:
        for purpose in mandate.purposes:
            require_purpose(purpose, what=_WHAT)
    # 2
    if GRANT in mandate.verbs and (mandate.role != GUARDIAN or WITHDRAW not in mandate.verbs):
        raise MessageError(f"{_WHAT}: who answers requests is a guardian, and may withdraw as well")
    # 3
    if not now < mandate.until <= now + MAX_SECONDS:
        raise MessageError(f"{_WHAT}: it must end within twelve months")
    return mandate


def read_registration(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The VP Token in the body of ``POST /me/mandates``. Raises MessageError."""
    exact(body, _WHAT, frozenset({"vp_token"}))
    with reading(_WHAT):
        return members.mapping(body, "vp_token", what=_WHAT)
