"""Known answers: leaves and events (C6), tiles, checkpoints and proofs (C2SP)."""

import json
from pathlib import Path
from typing import Any

import pytest

from consent.errors import LogError
from consent.ledger.event import check_commitment, commitment
from consent.ledger.leaf import Kind, Leaf, end_day, mask_of, names_of
from consent.ledger.proof import verify_leaf_proof
from consent.log import checkpoint, merkle
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.codec import base64url, jcs
from identity.keys.ed25519 import Ed25519Signer

WIRE = Path(__file__).parent / "wire"


def load(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text())


LEAF, LOG, KEYS = load("leaf"), load("log"), load("keys")
LEAVES = [bytes.fromhex(leaf) for leaf in LOG["leaves_hex"]]


def test_kinds() -> None:
    assert {str(int(kind)): kind.word for kind in Kind} == LEAF["kinds"]


@pytest.mark.parametrize("case", LEAF["leaves"], ids=lambda case: case["fields"]["kind"])
def test_leaf(case: dict[str, Any]) -> None:
    raw, fields = bytes.fromhex(case["leaf_hex"]), case["fields"]
    leaf = Leaf.from_bytes(raw)
    assert leaf.to_bytes() == raw
    for name in ("kind", "flags", "counter", "service", "purpose", "minute", "mask", "end_day", "max_uses"):
        assert getattr(leaf, name) == fields[name]
    assert (base64url.encode(leaf.id), leaf.commitment.hex()) == (fields["id"], fields["commitment"])
    if "event" in case:
        salt = base64url.decode(case["salt"])
        assert jcs.canonicalize(case["event"]).decode() == case["jcs"]
        assert commitment(case["event"], salt) == leaf.commitment
        check_commitment(leaf, case["event"], salt)
        assert merkle.leaf_hash(raw).hex() == case["leaf_hash"]


@pytest.mark.parametrize("case", LEAF["refused"], ids=lambda case: case["fault"])
def test_leaf_refused(case: dict[str, str]) -> None:
    with pytest.raises(LogError):
        Leaf.from_bytes(bytes.fromhex(case["leaf_hex"]))


@pytest.mark.parametrize("case", LEAF["masks"])
def test_mask(case: dict[str, Any]) -> None:
    assert mask_of(case["datatypes"], case["names"]) == int(case["mask"])
    assert names_of(case["datatypes"], int(case["mask"])) == tuple(case["names"])


@pytest.mark.parametrize("case", LEAF["end_days"])
def test_end_day(case: dict[str, int]) -> None:
    assert end_day(case["not_after"]) == case["end_day"]


def test_roots() -> None:
    for size, root in LOG["roots"].items():
        assert merkle.root(int(size), _subtree).hex() == root


def _subtree(level: int, index: int) -> bytes:
    return merkle.complete_root(list(map(merkle.leaf_hash, LEAVES))[index << level : (index + 1) << level])


def test_consistency() -> None:
    proof = [bytes.fromhex(value) for value in LOG["consistency_3_5"]]
    assert merkle.consistency_proof(3, 5, _subtree) == proof
    old, new = (bytes.fromhex(LOG["roots"][size]) for size in "35")
    merkle.verify_consistency(3, old, 5, new, proof)
    with pytest.raises(LogError):
        merkle.verify_consistency(3, new, 5, new, proof)


def test_verifier_key() -> None:
    key = NoteKey.parse(LOG["vkey"])
    assert (key.format(), key.name) == (LOG["vkey"], LOG["origin"])


def test_checkpoints() -> None:
    key = NoteKey.parse(LOG["vkey"])
    for signed, size in ((LOG["checkpoint"], 5), (LOG["checkpoint_3"], 3)):
        verified = checkpoint.verify(signed, key)
        assert (verified.size, verified.root.hex()) == (size, LOG["roots"][str(size)])
        assert verified.note.format() == signed


def test_writer_makes_the_same_files(tmp_path: Path) -> None:
    signer = Ed25519Signer(base64url.decode(KEYS["keys"]["log"]["jwk"]["d"]))
    writer = LogWriter(tmp_path, LOG["origin"], signer)
    writer.append(LEAVES[:3])
    assert writer.signed_checkpoint == LOG["checkpoint_3"]
    writer.append(LEAVES[3:])
    assert writer.signed_checkpoint == LOG["checkpoint"]
    assert writer.key.format() == LOG["vkey"]
    for path, content in LOG["files"].items():
        assert (tmp_path / path).read_bytes().hex() == content
    assert [writer.prove(index) for index in range(5)] == LOG["proofs"]
    writer.close()


@pytest.mark.parametrize("index", range(5))
def test_proofs(index: int) -> None:
    verified = verify_leaf_proof(LOG["proofs"][index], LOG["vkey"])
    assert (verified.index, verified.leaf.to_bytes()) == (index, LEAVES[index])


@pytest.mark.parametrize("case", LOG["refused"], ids=lambda case: case["fault"])
def test_proof_refused(case: dict[str, str]) -> None:
    """Either the proof itself is refused, or it proves another leaf than the one expected."""
    try:
        verified = verify_leaf_proof(case["proof"], LOG["vkey"])
    except LogError:
        return
    assert case["fault"] == "leaf changed"
    assert verified.leaf.to_bytes().hex() != case["leaf_hex"]
