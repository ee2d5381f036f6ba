"""What somebody brings to be looked up: a receipt, a proof or a checkpoint, checked under the pinned key.

Nothing that is brought is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atorga.explorer.state import Explored
from consent.errors import LogError, MessageError
from consent.grant.receipt import MAX_RECEIPT_BYTES, parse_receipt
from consent.ledger.leaf import Leaf
from consent.ledger.receipt import verify_receipt
from consent.log import merkle, period
from consent.log.proof import HEADER, Proof, VerifiedEntry
from consent.log.proof import verify as verify_proof
from consent.log.reader import verify_period

MAX_BROUGHT_BYTES = MAX_RECEIPT_BYTES


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry with its path, and what was found right about it (keys of sentences)."""

    leaf: Leaf
    proven: VerifiedEntry
    path: tuple[bytes, ...]
    held: tuple[str, ...]
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ShownCheckpoint:
    """A checkpoint of the log that is the beginning of what the copy holds."""

    origin: str
    size: int


def entry_at(explored: Explored, name: str, index: int) -> Shown:
    """The entry at this place of the copy. Raises LogError."""
    return _shown(explored, explored.view(name).prove(index), ("held.signed", "held.included"))


def brought(explored: Explored, content: bytes) -> Shown | ShownCheckpoint:
    """Raises LogError, MessageError."""
    if len(content) > MAX_BROUGHT_BYTES:
        raise MessageError(f"more than {MAX_BROUGHT_BYTES} bytes")
    try:
        text = content.decode("utf-8").replace("\r\n", "\n").strip() + "\n"
    except UnicodeDecodeError:
        raise MessageError("it is not text") from None
    if text.startswith(HEADER):
        shown = _shown(explored, text, ("held.signed", "held.included"))
        return _compared(explored, shown)
    if text.startswith("{"):
        return _receipt(explored, text)
    return _checkpoint(explored, text)


def _receipt(explored: Explored, text: str) -> Shown:
    receipt = parse_receipt(text)
    key = explored.key.renamed(_origin(explored, receipt.proof))
    verified = verify_receipt(receipt, log_vkey=key.format())
    shown = _shown(
        explored,
        receipt.proof,
        ("held.signed", "held.included", "held.committed", "held.grant"),
        verified.receipt.event,
    )
    return _compared(explored, shown)


def _checkpoint(explored: Explored, text: str) -> ShownCheckpoint:
    """Held against the copy: two signed histories of one log are the worst that can be found."""
    signed = verify_period(text, explored.key)
    origin = signed.checkpoint.origin
    view = explored.view(origin.rpartition("/")[2])
    if signed.size > view.size:
        raise LogError(f"{origin}: signed for {signed.size} entries; this copy has {view.size}: refresh it")
    root = verify_period(view.signed_checkpoint, explored.key).root
    proof = view.prove_consistency(signed.size)
    merkle.verify_consistency(signed.size, signed.root, view.size, root, proof)
    return ShownCheckpoint(origin, signed.size)


def _shown(explored: Explored, text: str, held: tuple[str, ...], event: Mapping[str, Any] | None = None) -> Shown:
    key = explored.key.renamed(_origin(explored, text))
    proven = verify_proof(text, key)
    return Shown(Leaf.from_bytes(proven.entry), proven, Proof.parse(text).path, held, event)


def _compared(explored: Explored, shown: Shown) -> Shown:
    """The proof of what was brought is right in itself; is it this same log that the auditor holds?"""
    name = shown.proven.checkpoint.checkpoint.origin.rpartition("/")[2]
    view = explored.view(name)
    if shown.proven.index >= view.size:
        held = "held.newer"
    elif view.entry(shown.proven.index) == shown.proven.entry:
        held = "held.same"
    else:
        raise LogError(
            f"entry {shown.proven.index}: TWO HISTORIES. The log signed this proof, and signed your copy, "
            "which has another entry there"
        )
    return Shown(shown.leaf, shown.proven, shown.path, (*shown.held, held), shown.event)


def _origin(explored: Explored, proof: str) -> str:
    origin = Proof.parse(proof).checkpoint.partition("\n")[0]
    if not period.same_log(origin, explored.key.name):
        raise LogError("the proof is from another log")
    return origin
