"""Signed notes, cosignatures and checkpoints: everything they can be wrong in."""

import pytest

from consent.errors import LogError
from consent.log import checkpoint, note
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey
from identity.keys.ed25519 import Ed25519Signer

SIGNER, OTHER = Ed25519Signer(bytes(32)), Ed25519Signer(bytes(range(32)))
ORIGIN = "log.example/1"
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
TEXT = Checkpoint(ORIGIN, 1, bytes(32)).format()


def signed(text: str = TEXT, name: str = ORIGIN, signer: Ed25519Signer = SIGNER) -> str:
    return note.UnverifiedNote(text, (note.sign(text, name, signer.public, signer),)).format()


def test_checkpoint_verifies() -> None:
    verified = checkpoint.verify(signed(), KEY)
    assert verified.checkpoint == Checkpoint(ORIGIN, 1, bytes(32))


def test_unknown_signatures_are_ignored() -> None:
    extra = note.sign(TEXT, "somebody.example", OTHER.public, OTHER)
    checkpoint.verify(note.parse(signed()).with_signatures([extra]).format(), KEY)


@pytest.mark.parametrize(
    "text",
    [
        signed(signer=OTHER),
        signed(name="other.example"),
        signed(TEXT.replace("\n1\n", "\n2\n")).replace("\n2\n", "\n3\n"),
        signed(Checkpoint("other.example", 1, bytes(32)).format()),
        signed(TEXT + "extension\n"),
        signed(TEXT.replace("\n1\n", "\n01\n")),
        signed(TEXT.replace("\n1\n", "\n-1\n")),
        signed(f"{ORIGIN}\n1\nAAAA\n"),
        signed().replace("— ", "- "),
        signed()[:-1],
        signed() + "\n",
        signed() + "x",
        signed().replace("\n\n", "\n"),
        signed().replace("\n1\n", "\r\n1\n"),
        "",
        TEXT,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(LogError):
        checkpoint.verify(text, KEY)


def test_a_wrong_signature_of_a_known_key_refuses_even_beside_a_good_one() -> None:
    parsed = note.parse(signed())
    bad = note.Signature(ORIGIN, KEY.key_id, bytes(64))
    for signatures in ((bad, *parsed.signatures), (*parsed.signatures, bad)):
        with pytest.raises(LogError, match="wrong"):
            note.verify(note.UnverifiedNote(TEXT, signatures), KEY)


def test_cosignature() -> None:
    witness = NoteKey("witness.example", note.COSIGNATURE_V1, OTHER.public)
    plain = note.parse(signed())
    assert note.verify_cosignature(plain, witness) is None
    line = note.cosign(TEXT, witness.name, OTHER.public, OTHER, now=1_795_315_110)
    cosigned = note.parse(plain.with_signatures([line]).format())
    assert note.verify_cosignature(cosigned, witness) == 1_795_315_110
    for wrong in (line.value[:-1], b"\0" * 8 + line.value[8:]):
        changed = plain.with_signatures([note.Signature(line.name, line.key_id, wrong)])
        with pytest.raises(LogError):
            note.verify_cosignature(changed, witness)


def test_a_log_signature_is_no_cosignature() -> None:
    as_log = note.sign(TEXT, "witness.example", OTHER.public, OTHER)
    witness = NoteKey("witness.example", note.COSIGNATURE_V1, OTHER.public)
    assert note.verify_cosignature(note.parse(signed()).with_signatures([as_log]), witness) is None


@pytest.mark.parametrize("vkey", ["", "a+b", "a+00000000+AQ==", KEY.format()[:-4], KEY.format().replace("+", "+f", 1)])
def test_verifier_key_refused(vkey: str) -> None:
    with pytest.raises(LogError):
        NoteKey.parse(vkey)


def test_a_renamed_key_has_another_hash() -> None:
    renamed = KEY.renamed("log.example/2")
    assert renamed.key_id != KEY.key_id
    assert NoteKey.parse(renamed.format()) == renamed


def test_sizes_are_limited() -> None:
    with pytest.raises(LogError, match="more than"):
        checkpoint.verify("x" * 20_000, KEY)
    with pytest.raises(LogError, match="more than"):
        note.parse("x" * (note.MAX_NOTE_BYTES + 1))
    many = note.parse(signed()).with_signatures([note.sign(TEXT, "a", OTHER.public, OTHER)] * note.MAX_SIGNATURES)
    with pytest.raises(LogError, match="signatures"):
        note.parse(many.format())
