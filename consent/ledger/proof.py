"""Proof that a leaf of the consent log is logged: what data holder, service and wallet check."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.ledger.event import check_commitment
from consent.ledger.leaf import Leaf
from consent.log import proof
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf that is in the log of the pinned key."""

    leaf: Leaf
    index: int
    checkpoint: VerifiedCheckpoint


def verify_leaf_proof(text: str, vkey: str) -> VerifiedLeaf:
    """Raises LogError unless the proof's extra line is a leaf in the log of the pinned verifier key."""
    verified = proof.verify(text, NoteKey.parse(vkey))
    return VerifiedLeaf(Leaf.from_bytes(verified.entry), verified.index, verified.checkpoint)


def verify_event_proof(text: str, vkey: str, event: Mapping[str, Any], salt: bytes) -> VerifiedLeaf:
    """As above, and the leaf commits to this event."""
    verified = verify_leaf_proof(text, vkey)
    check_commitment(verified.leaf, event, salt)
    return verified
