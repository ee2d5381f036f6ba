"""Known answers of C5's log promise and of C15's two seals."""

import json
from pathlib import Path
from typing import Any

import pytest

from consent.errors import ConsentError, MessageError
from consent.grant.opening import open_event, open_opening, seal_event, seal_opening
from consent.ledger.event import check_commitment
from consent.ledger.leaf import DAY_ONLY, Leaf
from consent.ledger.promise import sign_promise, verify_promise
from consent.log.note import NoteKey
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer

WIRE = Path(__file__).parent / "wire"


def load(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text())


ACTS, LEAF, LOG, KEYS = load("acts"), load("leaf"), load("log"), load("keys")["keys"]
GRANT_ID = "cSx7hgZzMfP_oLUAQEk3Xg"


def agreement(name: str) -> AgreementPrivateKey:
    return AgreementPrivateKey.from_jwk(KEYS[name]["jwk"])


def test_sealed_event() -> None:
    expected = json.loads(ACTS["event"]["plaintext"])
    found = open_event(agreement("opening"), ACTS["event"]["sealed"], leaf_id=GRANT_ID, counter=2)
    assert (found.event, base64url.encode(found.salt)) == (expected["event"], expected["salt"])
    leaf = Leaf.from_bytes(bytes.fromhex(LEAF["leaves"][3]["leaf_hex"]))
    check_commitment(leaf, found.event, found.salt)


@pytest.mark.parametrize(("leaf_id", "counter", "key"), [
    (GRANT_ID, 3, "opening"), ("AAAAAAAAAAAAAAAAAAAAAA", 2, "opening"), (GRANT_ID, 2, "view"),
])  # fmt: skip
def test_sealed_event_of_another_leaf_or_key(leaf_id: str, counter: int, key: str) -> None:
    with pytest.raises(MessageError):
        open_event(agreement(key), ACTS["event"]["sealed"], leaf_id=leaf_id, counter=counter)


def test_sealed_opening_key() -> None:
    opened = open_opening(agreement("view"), ACTS["opening"]["sealed"], grant_id=GRANT_ID)
    assert opened.raw.hex() == ACTS["opening"]["plaintext_hex"]
    with pytest.raises(MessageError):
        open_opening(agreement("view"), ACTS["opening"]["sealed"], grant_id="AAAAAAAAAAAAAAAAAAAAAA")


def test_seals_are_opened_by_their_keys() -> None:
    pair, view = AgreementPrivateKey.generate(), AgreementPrivateKey.generate()
    event, salt = {"v": 1, "kind": "use"}, bytes(range(32))
    sealed = seal_event(pair.public, leaf_id=GRANT_ID, counter=7, event=event, salt=salt)
    kept = seal_opening(view.public, grant_id=GRANT_ID, private=pair)
    opened = open_event(open_opening(view, kept, grant_id=GRANT_ID), sealed, leaf_id=GRANT_ID, counter=7)
    assert (opened.event, opened.salt) == (event, salt)


def test_promise() -> None:
    promise = verify_promise(ACTS["promise"]["jws"], LOG["vkey"])
    assert (promise.log, promise.due) == (LOG["origin"], ACTS["promise"]["payload"]["due"])
    logged = Leaf.from_bytes(bytes.fromhex(LOG["leaves_hex"][4]))
    assert promise.is_kept_by(logged)
    assert promise.is_kept_by(Leaf.from_bytes(logged.to_bytes()).at_minute(1))
    for index in range(4):
        assert not promise.is_kept_by(Leaf.from_bytes(bytes.fromhex(LOG["leaves_hex"][index])))


def test_promise_is_made_as_it_is_read() -> None:
    signer = Ed25519Signer(base64url.decode(KEYS["log"]["jwk"]["d"]))
    key = NoteKey.parse(LOG["vkey"])
    leaf = Leaf.from_bytes(bytes.fromhex(LOG["leaves_hex"][4]))
    compact = sign_promise(leaf, due=ACTS["promise"]["payload"]["due"], key=key, signer=signer)
    assert compact == ACTS["promise"]["jws"]


def other_promise(**changes: Any) -> str:
    signer = Ed25519Signer(base64url.decode(KEYS["log"]["jwk"]["d"]))
    key = NoteKey.parse(changes.get("vkey", LOG["vkey"]))
    return sign_promise(
        Leaf.from_bytes(bytes.fromhex(LOG["leaves_hex"][4])), due=1, key=key, signer=changes.get("signer", signer)
    )


def test_promises_that_are_refused() -> None:
    other_log = NoteKey.parse(LOG["vkey"]).renamed("other.example/log/2026").format()
    parsed = jws.parse(ACTS["promise"]["jws"])
    tampered = ACTS["promise"]["jws"].replace(
        base64url.encode(parsed.payload), base64url.encode(parsed.payload.replace(b"1795318710", b"1795318711"))
    )
    for compact in (other_promise(vkey=other_log), other_promise(signer=Ed25519Signer(bytes(32))), tampered, "a.b"):
        with pytest.raises(ConsentError):
            verify_promise(compact, LOG["vkey"])


def test_a_flag_set_later_keeps_the_promise_and_another_flag_does_not() -> None:
    promise = verify_promise(ACTS["promise"]["jws"], LOG["vkey"])
    raw = bytearray(bytes.fromhex(LOG["leaves_hex"][4]))
    raw[2] = DAY_ONLY
    assert promise.is_kept_by(Leaf.from_bytes(bytes(raw)))
    raw[2] = 2
    assert not promise.is_kept_by(Leaf.from_bytes(bytes(raw)))
