"""What asking and reading end in. A refusal names its reasons; an outcome cannot be mistaken for another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant.detail import AuthorizationDetail


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for a resident's answer."""

    request_id: str
    request_uri: str
    link: str
    """For a link or QR code: ``atorga-consent://…``."""
    expires_at: int


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody has answered yet."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The resident refused."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The request ended without an answer."""


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant that is kept here, with what withdrawals at this door have left of it."""

    grant_id: str
    detail: AuthorizationDetail
    attributes: tuple[str, ...]
    jws: str
    service: str
    """Whom the resident was asked by: this service, or another whose grant admits the accredited."""


@dataclass(frozen=True, slots=True)
class Given:
    grant: HeldGrant


@dataclass(frozen=True, slots=True)
class AlreadyWithdrawn:
    """It was given, and withdrawn at this door before it came: nothing of it is kept."""

    grant_id: str


Answer = Pending | Given | AlreadyWithdrawn | Declined | Lapsed


@dataclass(frozen=True, slots=True)
class Released:
    """Values that the data holder signed, under a leaf of the log."""

    grant_id: str
    use_id: str
    counter: int
    leaf_index: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReleasedByLaw:
    """Values that the data holder signed, under the leaf of a notice."""

    notice_id: str
    leaf_index: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Urgent:
    """Values that could not wait: no log holds them yet, the data holder has signed that one will."""

    request_id: str
    attributes: Mapping[str, Any]
    statement: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was read. ``reasons`` are codes of C4, or what was at fault here:

    ``unknown_grant`` (not held here), ``holder_unavailable``, ``answer_not_proven``, and the error
    codes of ``/data``.
    """

    grant_id: str
    reasons: tuple[str, ...]
    description: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """(code, attribute) where a reason is about one attribute alone."""
