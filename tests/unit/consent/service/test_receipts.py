"""C9: a receipt stands for itself, offline; whatever is changed in it is noticed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from consent.errors import ConsentError, MessageError
from consent.grant import receipt as receipts
from consent.grant.receipt import parse_receipt, parse_served
from consent.ledger.receipt import VerifiedReceipt, verify_receipt
from consent.log.note import NoteKey
from identity.codec import strict_json
from tests.consent_city import OTHER_SERVICE, ConsentCity, Held, Wallet


@pytest.fixture
def held(wallet: Wallet) -> Held:
    held = wallet.give()
    assert wallet.city.office.sequencer.wait_for_size(3, seconds=5)
    return held


@pytest.fixture
def kept(wallet: Wallet, held: Held) -> dict[str, Any]:
    served = parse_served(wallet.call("GET", held.receipt).json())
    return served.opened(wallet.opening(held), grant_id=held.id, counter=1).to_json()


def check(city: ConsentCity, value: Any, **changes: Any) -> VerifiedReceipt:
    named: dict[str, Any] = {"log_vkey": city.vkey, "key_of": city.key_of}
    return verify_receipt(parse_receipt(strict_json.compact(value)), **named | changes)


def test_it_verifies_with_the_pinned_key_alone(wallet: Wallet, held: Held, kept: dict[str, Any]) -> None:
    verified = check(wallet.city, kept, key_of=None)
    assert (verified.grant_id, verified.logged.leaf.counter) == (held.id, 1)
    assert verified.detail.attributes == ("income.band", "household.size")
    assert parse_receipt(json.dumps(kept)).to_json() == kept


def test_a_place_goes_with_a_proof_and_with_nothing_else(wallet: Wallet, held: Held) -> None:
    served = wallet.call("GET", held.receipt).json()
    proved, promised = (
        served,
        {name: value for name, value in served.items() if name != "tlog_proof"} | {"promise": "x"},
    )
    assert parse_served(promised | {"leaf_index": None}).leaf_index is None
    for wrong in (proved | {"leaf_index": None}, promised):
        with pytest.raises(MessageError, match="leaf_index"):
            parse_served(wrong)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(receipt: dict[str, Any]) -> None:
        *folders, name = path.split("/")
        for folder in folders:
            receipt = receipt[folder]
        if value is None:
            del receipt[name]
        else:
            receipt[name] = value

    return apply


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "Receipt"), ("schema_version", "atorga-27560/2"), ("@context", ["https://w3id.org/dpv"]),
        ("rights", []), ("receipt_id", "x"), ("more", 1), ("salt", None), ("tlog_proof", "x"), ("event", None),
        ("notice/text", "Something else."), ("notice/hash", "x"), ("withdrawal/steps", 2),
        ("event/attributes", ["income.band"]), ("event/not_after", 1), ("event/max_uses", 99),
        ("event/grant_hash", "A" * 43), ("event/counter", 2), ("event/service", OTHER_SERVICE),
        ("event/grant_id", "AAAAAAAAAAAAAAAAAAAAAA"), ("salt", "A" * 43), ("controller/id", OTHER_SERVICE),
        ("controller/contact", None), ("grant", "a.b.c"),
    ],
)  # fmt: skip
def test_what_is_changed_is_noticed(wallet: Wallet, kept: dict[str, Any], path: str, value: Any) -> None:
    change(path, value)(kept)
    with pytest.raises(ConsentError):
        check(wallet.city, kept)


def test_a_grant_of_another_wallet_in_it(wallet: Wallet, kept: dict[str, Any]) -> None:
    kept["grant"] = wallet.give().compact
    with pytest.raises(MessageError, match="about another grant"):
        check(wallet.city, kept)


def test_the_log_of_another_key(wallet: Wallet, kept: dict[str, Any]) -> None:
    other = NoteKey.parse(wallet.city.vkey).renamed("elsewhere.example/log/2026").format()
    with pytest.raises(ConsentError):
        check(wallet.city, kept, log_vkey=other)


def test_a_request_that_its_service_did_not_sign(wallet: Wallet, kept: dict[str, Any]) -> None:
    with pytest.raises(ConsentError):
        check(wallet.city, kept, key_of=lambda _: wallet.key.public_key)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a":1,"a":1}', "x" * 300_000])
def test_files_that_are_no_receipt(text: str) -> None:
    with pytest.raises(MessageError):
        parse_receipt(text)


def test_a_promised_receipt_is_not_opened_yet(wallet: Wallet, held: Held) -> None:
    wallet.city.office.sequencer.stop()
    wallet.withdraw(held)
    last = wallet.call("GET", f"/me/grants/{held.id}").json()["receipts"][-1]
    served = parse_served(wallet.call("GET", f"/me/receipts/{last['id']}").json())
    assert served.promise is not None and served.leaf_index is None
    with pytest.raises(MessageError, match="not in the log yet"):
        served.opened(wallet.opening(held), grant_id=held.id, counter=2)


def test_served_forms_that_are_refused(wallet: Wallet, held: Held) -> None:
    served = wallet.call("GET", held.receipt).json()
    for path, value in (("leaf_index", None), ("sealed", None), ("sealed", ""), ("promise", "x"), ("grant", 1)):
        changed = dict(served)
        change(path, value)(changed)
        with pytest.raises(MessageError):
            parse_served(changed)
    without_index = {**served, "leaf_index": None}
    with pytest.raises(MessageError):
        parse_served(without_index)


def test_a_service_that_left_the_list_still_answers_for_its_grants(wallet: Wallet, held: Held) -> None:
    wallet.city.registry = None
    assert wallet.call("GET", held.receipt).status_code == 503
    keys = {name: key for name, key in wallet.city.keys.signers.items() if "social" not in name}
    wallet.city.keys.signers = keys
    wallet.city.registry = wallet.city.keys.listed(wallet.city.clock())
    served = wallet.call("GET", held.receipt).json()
    assert served["controller"]["id"] == "urn:atorga:party:social-services"


def test_contexts_are_bundled_and_name_every_member(kept: dict[str, Any]) -> None:
    terms: dict[str, Any] = {}
    for iri in receipts.CONTEXTS:
        terms |= json.loads(receipts.context(iri))["@context"]
    for value in (kept, kept["notice"], kept["controller"], kept["withdrawal"]):
        assert {name for name in value if not name.startswith("@")} <= terms.keys()
    assert kept["type"] in terms
