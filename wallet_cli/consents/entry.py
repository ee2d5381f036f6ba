"""What a timeline is made of: items as they came, entries that were opened and proved, and what does not hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError
from consent.ledger.event import parse_time
from consent.ledger.leaf import COUNTED, Kind
from identity.codec import base64url
from identity.codec.members import exact_members, identifier, integer, text
from identity.errors import EncodingError
from wallet_cli.errors import ConsentRefused

OWN_KINDS = frozenset({Kind.NOTICE, Kind.OPPOSE})
"""They belong to no grant: sealed to the account itself, under the id of their leaf."""

OFFICERS = "officers-opening"
"""The declaration that an opening by two officers names (ADR 0009, D11)."""

LATE_SECONDS = 300
"""An access that rests on law is logged before it, so within seconds; one from an urgent spool may come days later."""

_MAX_SEALED = 16_384
_WHAT = "timeline"
_KINDS = {kind.word: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Item:
    """As the consent service sent it."""

    grant_id: str
    """Of an event that belongs to no grant, the id of its leaf."""
    kind: Kind
    counter: int
    leaf_index: int | None
    sealed: str

    @classmethod
    def parse(cls, value: Any) -> "Item":
        """Raises EncodingError."""
        if not isinstance(value, dict):
            raise EncodingError(f"{_WHAT}: an item is an object")
        exact_members(value, what=_WHAT, required=frozenset({"grant_id", "kind", "counter", "leaf_index", "sealed"}))
        kind = _KINDS.get(text(value, "kind", what=_WHAT, max_length=16))
        if kind is None:
            raise EncodingError(f"{_WHAT}: an item of a kind that does not exist")
        return cls(
            identifier(value, "grant_id", what=_WHAT),
            kind,
            integer(value, "counter", what=_WHAT),
            None if value["leaf_index"] is None else integer(value, "leaf_index", what=_WHAT),
            text(value, "sealed", what=_WHAT, max_length=_MAX_SEALED),
        )

    @property
    def counted(self) -> bool:
        return self.kind in COUNTED

    @property
    def own(self) -> bool:
        return self.kind in OWN_KINDS


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that was opened, and is logged unless ``leaf_index`` is None: then it is promised."""

    grant_id: str
    kind: Kind
    counter: int
    leaf_index: int | None
    event: dict[str, Any]
    salt: bytes
    logged_at: int | None = None
    """NumericDate of its leaf's minute, of a day's start where the leaf says no more than the day; None = not known."""

    @property
    def milliseconds(self) -> int:
        """Raises LogError."""
        return parse_time(self.event.get("time"))

    @property
    def time(self) -> int:
        """NumericDate."""
        return self.milliseconds // 1000

    @property
    def order(self) -> tuple[int, bool, int, int]:
        """When it happened; of one instant, as it is logged."""
        return self.milliseconds, self.leaf_index is None, self.leaf_index or 0, self.counter

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.event.get("attributes", ()))

    @property
    def service(self) -> str:
        return str(self.event.get("service", ""))

    @property
    def late_seconds(self) -> int | None:
        """How long after it happened it was logged; None where that is not remarkable."""
        if self.kind is not Kind.NOTICE or self.logged_at is None:
            return None
        late = self.logged_at - self.time
        return late if late > LATE_SECONDS else None

    def body(self) -> dict[str, Any]:
        return {"event": self.event, "salt": base64url.encode(self.salt)}

    def require_time(self) -> None:
        """Raises ConsentRefused ``proof_refused``."""
        try:
            _ = self.milliseconds
        except LogError:
            raise ConsentRefused("proof_refused", f"{_WHAT}: an event without its time") from None


def entry_of_body(item: Item, body: Mapping[str, Any]) -> Entry:
    """From what this wallet stored when it proved it."""
    salt = base64url.decode(str(body["salt"]), what=_WHAT)
    return Entry(item.grant_id, item.kind, item.counter, item.leaf_index, dict(body["event"]), salt)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold; ``code`` names its sentence (``finding.CODE``)."""

    code: str
    grant_id: str
    """Or the id of a leaf."""
    detail: str
    grave: bool = True
    """False: it may have an honest cause. It is said, and nothing fails for it."""
