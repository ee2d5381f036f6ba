"""What happens when a value changes under a grant (ADR 0009, D15).

*follow* releases the value of the day. *freeze* releases nothing while the value differs from that
of the first release; *ask* likewise, until the wallet answers. Kept is a keyed hash of the first
value in its resolution: without the key it says nothing, and with it no value can be read back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import Connection, Engine, delete, insert, select, update

from consent.errors import LedgerConflict, NotKnown
from consent.holder import link_store
from consent.holder.register import Value
from consent.holder.tables import first_value, link_notice, release
from identity.codec import base64url, jcs
from identity.keys.keyed_hash import KeyedHash

SCOPE = "first-value"

FOLLOW, FREEZE, ASK = "follow", "freeze", "ask"
VALUE_CHANGED = "value_changed"
NOT_ASKED = "not_asked"
UNKNOWN_GRANT = "unknown_grant"


@dataclass(frozen=True, slots=True)
class HeldValues:
    """Hashes of what is about to be released: attribute → (resolution, keyed hash)."""

    reaction: str
    hashes: Mapping[str, tuple[str, str]]


NOTHING_HELD = HeldValues(FOLLOW, {})


def held_values(
    keyed_hash: KeyedHash, *, reaction: str, grant_id: str, resolutions: Mapping[str, str], values: Mapping[str, Value]
) -> HeldValues:
    """Raises KeyUnavailable. A grant that follows needs no hash."""
    if reaction == FOLLOW:
        return NOTHING_HELD
    names = sorted(values)
    messages = [sha256(jcs.canonicalize([grant_id, name, resolutions[name], values[name]])).digest() for name in names]
    hashes = keyed_hash.hashes(SCOPE, messages)
    return HeldValues(
        reaction,
        {name: (resolutions[name], base64url.encode(found)) for name, found in zip(names, hashes, strict=True)},
    )


def changed(connection: Connection, grant_id: str, row_key: str, held: HeldValues, *, now: int) -> tuple[str, ...]:
    """The attributes whose value is another than at first; the row's links get a notice, once a change.

    Part of the journal's transaction. Where nothing differs, values released for the first time (in
    this resolution) are kept.
    """
    kept = {
        (row.attribute, row.resolution): row
        for row in connection.execute(select(first_value).where(first_value.c.grant_id == grant_id))
    }
    differing, unseen, fresh = [], False, []
    for name, (resolution, found) in held.hashes.items():
        before = kept.get((name, resolution))
        if before is None:
            fresh.append((name, resolution, found))
        elif not compare_digest(before.hash, found):
            differing.append(name)
            if not before.changed:
                unseen = True
                _mark(connection, grant_id, name, resolution)
    if unseen:
        link_store.tell(connection, row_key, VALUE_CHANGED, grant_id=grant_id, now=now)
    if not differing and fresh:
        connection.execute(
            insert(first_value),
            [
                {
                    "grant_id": grant_id,
                    "attribute": name,
                    "resolution": resolution,
                    "hash": found,
                    "reaction": held.reaction,
                    "changed": False,
                }
                for name, resolution, found in fresh
            ],
        )
    return tuple(differing)


def _mark(connection: Connection, grant_id: str, name: str, resolution: str) -> None:
    here = (
        first_value.c.grant_id == grant_id,
        first_value.c.attribute == name,
        first_value.c.resolution == resolution,
    )
    connection.execute(update(first_value).where(*here).values(changed=True))


def forget(connection: Connection, grant_id: str) -> None:
    """The grant has ended: there is nothing to compare any more."""
    connection.execute(delete(first_value).where(first_value.c.grant_id == grant_id))


class Changes:
    """Answers of residents who asked to be asked. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def follow(self, grant_id: str, row_key: str) -> None:
        """The next release takes the new value, and that becomes the one to compare with.

        Raises NotKnown (``unknown_grant``) for a grant that released nothing of this row, and
        LedgerConflict (``not_asked``) where no changed value waits for an answer.
        """
        with self._engine.begin() as connection:
            own = select(release.c.number).where(release.c.grant_id == grant_id, release.c.row_key == row_key).limit(1)
            if connection.execute(own).first() is None:
                raise NotKnown(UNKNOWN_GRANT)
            waiting = delete(first_value).where(
                first_value.c.grant_id == grant_id, first_value.c.changed, first_value.c.reaction == ASK
            )
            if not connection.execute(waiting).rowcount:
                raise LedgerConflict(NOT_ASKED)
            connection.execute(
                delete(link_notice).where(link_notice.c.grant_id == grant_id, link_notice.c.kind == VALUE_CHANGED)
            )
