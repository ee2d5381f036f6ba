"""Proof that a leaf of the consent log is logged: what data holder, service and wallet check."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError
from consent.ledger.event import check_commitment
from consent.ledger.leaf import Leaf
from consent.log import period, proof
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf that is in the log of the pinned key."""

    leaf: Leaf
    index: int
    checkpoint: VerifiedCheckpoint


def period_vkey(text: str, vkey: str) -> str:
    """The pinned key under the name of the period that this proof is from (WIRE C6). Raises LogError.

    For whoever may meet a proof of another period than the one whose key was pinned.
    """
    key, origin = NoteKey.parse(vkey), proof.Proof.parse(text).checkpoint.partition("\n")[0]
    if not period.same_log(origin, key.name):
        raise LogError("proof: it is from another log")
    return key.renamed(origin).format()


def verify_leaf_proof(text: str, vkey: str) -> VerifiedLeaf:
    """Raises LogError unless the proof's extra line is a leaf in the log of the pinned verifier key."""
    verified = proof.verify(text, NoteKey.parse(vkey))
    return VerifiedLeaf(Leaf.from_bytes(verified.entry), verified.index, verified.checkpoint)


def verify_event_proof(text: str, vkey: str, event: Mapping[str, Any], salt: bytes) -> VerifiedLeaf:
    """As above, and the leaf commits to this event."""
    verified = verify_leaf_proof(text, vkey)
    check_commitment(verified.leaf, event, salt)
    return verified
