"""The whole way: declare, ask, enrol, give, use with proof, withdraw, refused, read it all back."""

import pytest

from consent.errors import LogError
from consent.grant.receipt import parse_receipt, parse_served
from consent.ledger.event import check_commitment
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.proof import verify_leaf_proof
from consent.ledger.receipt import verify_receipt
from identity.codec import strict_json
from tests.consent_city import SERVICE, ConsentCity, Wallet


def test_the_story(declared: ConsentCity, wallet: Wallet) -> None:
    city = declared
    request = city.ask()
    held = wallet.give(request)

    state = city.proven(city.signer(SERVICE), "GET", f"/requests/{request.request.id}").json()
    assert state == {"state": "given", "grant_id": held.id, "grant": held.compact}

    use = city.use_request(held.id)
    proven = city.prove(city.use(use), use, wallet)
    assert (proven.allow.counter, proven.link) == (2, wallet.link)
    assert proven.allow.release_before == proven.allow.issued + 5

    withdrawn = wallet.withdraw(held)
    assert withdrawn.status_code == 200
    value = withdrawn.json()
    assert (value["state"], value["counter"], value["effective_at"]) == ("withdrawn", 3, int(city.clock()))
    leaf = verify_leaf_proof(value["proof"], city.vkey).leaf
    assert (leaf.kind, leaf.counter) == (Kind.WITHDRAW, 3)

    again = city.use_request(held.id)
    assert city.reasons(city.use(again), again) == ["withdrawn"]


def test_the_timeline_opens_and_every_leaf_is_in_the_log(declared: ConsentCity, wallet: Wallet) -> None:
    city = declared
    held = wallet.give()
    for _ in range(2):
        use = city.use_request(held.id)
        city.prove(city.use(use), use, wallet)
    wallet.withdraw(held)
    refused = city.use_request(held.id)
    city.use(refused)
    assert city.office.sequencer.wait_for_size(7, seconds=5)

    timeline = wallet.call("GET", "/me/timeline").json()
    assert timeline["next"] is None
    kinds = [(item["kind"], item["counter"]) for item in timeline["items"]]
    assert kinds == [("grant", 1), ("use", 2), ("use", 3), ("withdraw", 4), ("deny", 0)]
    opening = wallet.opening(held)
    log = city.office.sequencer.writer
    for item in timeline["items"]:
        opened = wallet.open(item, opening)
        check_commitment(Leaf.from_bytes(log.entry(item["leaf_index"])), opened.event, opened.salt)
    deny = wallet.open(timeline["items"][-1], opening).event
    assert deny["reasons"] == [{"code": "withdrawn", "attribute": None}] and deny["count"] == 1

    first = timeline["items"][0]["leaf_index"]
    later = wallet.call("GET", f"/me/timeline?after={first}").json()["items"]
    assert later == timeline["items"][1:]


def test_receipts_verify_offline_and_say_what_was_signed(declared: ConsentCity, wallet: Wallet) -> None:
    city = declared
    held = wallet.give()
    wallet.withdraw(held)
    listed = wallet.call("GET", f"/me/grants/{held.id}").json()["receipts"]
    assert [(one["counter"], one["kind"]) for one in listed] == [(1, "grant"), (2, "withdraw")]
    assert held.receipt == f"/me/receipts/{listed[0]['id']}"
    opening = wallet.opening(held)
    for one in listed:
        answer = wallet.call("GET", f"/me/receipts/{one['id']}")
        assert answer.headers["content-type"] == "application/ld+json"
        served = parse_served(answer.json())
        kept = strict_json.compact(served.opened(opening, grant_id=held.id, counter=one["counter"]).to_json())
        verified = verify_receipt(parse_receipt(kept), log_vkey=city.vkey, key_of=city.key_of)
        assert (verified.grant_id, verified.service) == (held.id, SERVICE)
        assert verified.receipt.head.controller.legal_entity == "City council"
        assert verified.receipt.head.withdrawal_url.endswith("/withdrawals")


def test_what_the_service_keeps_of_a_resident(declared: ConsentCity, wallet: Wallet) -> None:
    """Neither the identifier nor an event in clear is in the database or beside it."""
    city = declared
    held = wallet.give()
    use = city.use_request(held.id)
    city.use(use)
    wallet.withdraw(held)
    city.engine.dispose()
    for path in sorted(path for path in city.folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert wallet.claim.encode() not in content, path
        assert b"use_request_hash" not in content, path
        assert use.digest.encode() not in content, path


def test_the_log_can_be_replayed_by_who_knows_the_key_alone(declared: ConsentCity, wallet: Wallet) -> None:
    city = declared
    held = wallet.give()
    use = city.use_request(held.id)
    city.use(use)
    wallet.withdraw(held)
    log = city.office.sequencer.writer
    leaves = [Leaf.from_bytes(log.entry(index)) for index in range(log.size)]
    assert [leaf.kind for leaf in leaves] == [
        Kind.DECLARE, Kind.DECLARE, Kind.REQUEST, Kind.GRANT, Kind.USE, Kind.WITHDRAW,
    ]  # fmt: skip
    grant, used = leaves[3], leaves[4]
    assert (grant.mask, grant.max_uses, used.mask) == (0b11, 10, 0b01)
    assert {(leaf.service, leaf.purpose) for leaf in leaves[3:]} == {(grant.service, grant.purpose)}
    assert (leaves[2].service, leaves[2].purpose) == (0, 0) and leaves[2].grouped
    for index in range(log.size):
        assert verify_leaf_proof(log.prove(index), city.vkey).index == index
    with pytest.raises(LogError):
        verify_leaf_proof(log.prove(0), log.key.renamed("elsewhere.example/log/2026").format())
