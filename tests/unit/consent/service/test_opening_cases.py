"""D11, C15: any two officers open one grant, nobody alone, and the resident sees it."""

import argparse
import io
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from atorga import officers_commands
from atorga.cli import parser
from consent.errors import MessageError, SenderUnproven
from consent.grant.officers import Officer, Officers, make_officers, open_envelope, parse_officers
from consent.grant.opening import open_event
from consent.grant.opening_order import ORDER_SECONDS, OpeningOrder, sign_order, verify_orders
from consent.ledger.case import parse_case, verify_case
from consent.ledger.leaf import Kind
from consent.ledger.opened_case import open_answer
from consent.ledger.proof import verify_leaf_proof
from identity.codec import base64url, strict_json
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, NOW, SERVICE, Clock, ConsentCity, Wallet


@dataclass
class Person:
    name: str
    order: SoftwareSigner
    opening: AgreementPrivateKey

    @property
    def public(self) -> Officer:
        return Officer(self.name, self.order.public_key, self.opening.public)


PEOPLE = [Person(name, SoftwareSigner.generate(), AgreementPrivateKey.generate()) for name in ("ada", "blai", "cira")]
OFFICERS = make_officers([one.public for one in PEOPLE], secrets.token_bytes)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ConsentCity]:
    city = ConsentCity(tmp_path, officers=OFFICERS)
    city.declare_all()
    yield city
    city.close()


@pytest.fixture
def wallet(city: ConsentCity) -> Wallet:
    return Wallet(city).enrolled()


def order(grant_id: str, **changes: Any) -> OpeningOrder:
    made = OpeningOrder(CONSENT, base64url.encode(secrets.token_bytes(16)), NOW, grant_id, "Complaint 17")
    return replace(made, **changes)


def send(city: ConsentCity, *orders: str) -> httpx.Response:
    body = strict_json.compact({"orders": list(orders)})
    return city.send("POST", "/openings", body, content_type="application/json")


def by(ordered: OpeningOrder, *people: Person) -> list[str]:
    return [sign_order(ordered, one.order) for one in people]


def openings(city: ConsentCity) -> int:
    with city.engine.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM opening_order")).scalar_one())


def test_two_officers_open_a_grant_and_the_resident_sees_it(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    assert city.use(city.use_request(held.id)).is_success
    ordered = order(held.id)
    answer = send(city, *by(ordered, PEOPLE[0], PEOPLE[2]))
    assert answer.status_code == 200, answer.text
    key = open_envelope(answer.json()["envelope"], PEOPLE[2].opening, PEOPLE[0].opening)
    case = open_answer(answer.json(), key)
    verified = verify_case(parse_case(case.format()), log_vkey=city.vkey)
    assert [one.event["kind"] for one in verified.events] == ["grant", "use"]
    assert verified.events[0].event["service"] == SERVICE and verified.grant_id == held.id
    logged = verify_leaf_proof(answer.json()["proof"], city.vkey)
    assert logged.leaf.kind is Kind.NOTICE
    item = wallet.call("GET", "/me/timeline").json()["items"][-1]
    assert (item["kind"], item["grant_id"]) == ("notice", base64url.encode(logged.leaf.id))
    event = open_event(wallet.view_key, item["sealed"], leaf_id=item["grant_id"], counter=0).event
    assert (event["declaration"], event["hash"]) == ("officers-opening", ordered.digest)


def test_every_pair_opens_and_no_other(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    envelope = send(city, *by(order(held.id), PEOPLE[0], PEOPLE[1])).json()["envelope"]
    assert open_envelope(envelope, PEOPLE[0].opening, PEOPLE[1].opening).public == OFFICERS.key
    for one, other in ((0, 2), (1, 2), (0, 0)):
        with pytest.raises(MessageError):
            open_envelope(envelope, PEOPLE[one].opening, PEOPLE[other].opening)
    with pytest.raises(MessageError):
        open_envelope(envelope, PEOPLE[0].opening, AgreementPrivateKey.generate())


def test_one_officer_is_not_two(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    ordered = order(held.id)
    stranger = Person("nobody", SoftwareSigner.generate(), AgreementPrivateKey.generate())
    refused = [
        by(ordered, PEOPLE[0], PEOPLE[0]),
        by(ordered, PEOPLE[0], stranger),
        [*by(ordered, PEOPLE[0]), *by(order(held.id), PEOPLE[1])],
        [*by(ordered, PEOPLE[0]), *by(replace(ordered, reason="other"), PEOPLE[1])],
        by(order(held.id, consent=SERVICE), *PEOPLE[:2]),
        by(order(held.id, issued=NOW - ORDER_SECONDS - 1), *PEOPLE[:2]),
        by(order(held.id, issued=NOW + 61), *PEOPLE[:2]),
        by(ordered, PEOPLE[0]),
        ["x", "y"],
    ]
    for orders in refused:
        assert send(city, *orders).status_code == 400
    assert openings(city) == 0
    assert all(item["kind"] != "notice" for item in wallet.call("GET", "/me/timeline").json()["items"])


def test_the_same_order_again_makes_no_second_leaf(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    ordered = order(held.id)
    first, again = send(city, *by(ordered, *PEOPLE[:2])), send(city, *by(ordered, *PEOPLE[:2]))
    assert first.status_code == again.status_code == 200
    leaf = verify_leaf_proof(first.json()["proof"], city.vkey)
    assert verify_leaf_proof(again.json()["proof"], city.vkey).index == leaf.index
    other = replace(ordered, reason="something else")
    assert send(city, *by(other, *PEOPLE[:2])).json() == {"error": "replayed"}


def test_the_same_order_later_opens_no_more_than_it_did(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    orders = by(order(held.id), *PEOPLE[:2])

    def opened(orders: list[str]) -> list[int]:
        return [one["counter"] for one in send(city, *orders).json()["events"]]

    assert opened(orders) == [1]
    assert city.use(city.use_request(held.id)).is_success
    assert opened(orders) == [1]
    assert opened(by(order(held.id), *PEOPLE[:2])) == [1, 2]


def test_what_is_not_there_is_not_opened(city: ConsentCity, wallet: Wallet) -> None:
    unknown = order(base64url.encode(bytes(16)))
    assert send(city, *by(unknown, *PEOPLE[:2])).json() == {"error": "unknown_grant"}
    held = wallet.give()
    wallet.withdraw(held)
    assert wallet.call("POST", "/me/erasure", {"grant_id": held.id}).is_success
    assert send(city, *by(order(held.id), *PEOPLE[:2])).json() == {"error": "unknown_grant"}
    assert not [path for path in (city.folder / "opening").rglob("*") if path.is_file()], "both copies are gone"


def test_what_was_opened_and_then_erased_is_nobodys(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    orders = by(order(held.id), *PEOPLE[:2])
    assert send(city, *orders).status_code == 200
    wallet.withdraw(held)
    assert wallet.call("POST", "/me/erasure", {"grant_id": held.id}).is_success
    assert openings(city) == 0 and send(city, *orders).json() == {"error": "unknown_grant"}
    assert [item["kind"] for item in wallet.call("GET", "/me/timeline").json()["items"]] == ["notice"]


def test_without_officers_nobody_opens(tmp_path: Path) -> None:
    plain = ConsentCity(tmp_path)
    plain.declare_all()
    held = Wallet(plain).enrolled().give()
    assert send(plain, *by(order(held.id), *PEOPLE[:2])).status_code == 403
    plain.close()


def test_a_grant_made_before_there_were_officers_has_no_copy(tmp_path: Path) -> None:
    before = ConsentCity(tmp_path)
    before.declare_all()
    held = Wallet(before).enrolled().give()
    before.close()
    after = ConsentCity(tmp_path, keys=before.keys, officers=OFFICERS)
    assert send(after, *by(order(held.id), *PEOPLE[:2])).json() == {"error": "unknown_opening"}
    after.close()


def test_nothing_leaves_before_it_is_logged(city: ConsentCity, wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    held = wallet.give()
    monkeypatch.setattr(city.office.logbook.sequencer, "wait", lambda *_, **__: None)
    answer = send(city, *by(order(held.id), *PEOPLE[:2]))
    assert answer.status_code == 503 and "opening" not in answer.json()


def test_officers_read_what_came_before_a_recovery_too(city: ConsentCity, wallet: Wallet) -> None:
    held = wallet.give()
    Wallet(city, wallet.claim).enrolled()
    assert city.use(city.use_request(held.id)).is_success
    answer = send(city, *by(order(held.id), *PEOPLE[:2])).json()
    key = open_envelope(answer["envelope"], PEOPLE[0].opening, PEOPLE[1].opening)
    events = open_answer(answer, key).events
    assert [one.event["kind"] for one in events] == ["grant", "use"]


# ── the file ─────────────────────────────────────────────────────────────────────────────────


def test_the_file_is_read_as_it_was_written() -> None:
    assert parse_officers(OFFICERS.format()) == OFFICERS and len(OFFICERS.envelopes) == 3
    value = json.loads(OFFICERS.format())
    members, envelopes = value["officers"], value["envelopes"]
    for wrong in (
        {"officers": members[:1]}, {"officers": [*members, members[0]]}, {"officers": members * 3},
        {"envelopes": envelopes[:2]}, {"envelopes": [*envelopes, envelopes[0]]}, {"key": members[0]["order_jwk"]},
        {"officers": "x"}, {"envelopes": ["x"]}, {"more": 1}, {"officers": [{**members[0], "name": ""}, *members[1:]]},
        {"officers": [{**members[0], "order_jwk": OFFICERS.key.jwk()}, *members[1:]]},
    ):  # fmt: skip
        with pytest.raises(MessageError):
            parse_officers(strict_json.compact(value | wrong))


def test_orders_are_for_their_own_officers() -> None:
    others = [Person(str(n), SoftwareSigner.generate(), AgreementPrivateKey.generate()) for n in range(2)]
    theirs = make_officers([one.public for one in others], secrets.token_bytes)
    ordered = order(base64url.encode(bytes(16)))
    first, second = by(ordered, *PEOPLE[:2])
    named: dict[str, Any] = {"consent": CONSENT, "now": NOW}
    assert verify_orders(first, second, officers=OFFICERS, **named).order == ordered
    with pytest.raises(SenderUnproven):
        verify_orders(first, second, officers=theirs, **named)


# ── the command ──────────────────────────────────────────────────────────────────────────────


def command(*arguments: str) -> tuple[int, str, str]:
    given: argparse.Namespace = parser().parse_args(["officers", *arguments])
    out, err = io.StringIO(), io.StringIO()
    code = officers_commands.run(given, stdout=out, stderr=err)
    return code, out.getvalue(), err.getvalue()


def test_from_keys_to_an_opened_case(tmp_path: Path) -> None:
    for name in ("ada", "blai"):
        code, public, _ = command("key", name, "--out", str(tmp_path / f"{name}.key"))
        assert code == 0 and '"d"' not in public
        (tmp_path / f"{name}.pub").write_text(public)
        assert (tmp_path / f"{name}.key").stat().st_mode & 0o077 == 0
    file = tmp_path / "officers.json"
    code, said, _ = command("init", str(tmp_path / "ada.pub"), str(tmp_path / "blai.pub"), "--out", str(file))
    assert code == 0 and json.loads(said)["officers"] == ["ada", "blai"]
    officers: Officers = parse_officers(file.read_bytes())
    (tmp_path / "city").mkdir()
    city = ConsentCity(tmp_path / "city", officers=officers, clock=Clock(time.time()))
    city.declare_all()
    held = Wallet(city).enrolled().give()
    first, second, answer = tmp_path / "first.jws", tmp_path / "second.jws", tmp_path / "answer.json"
    code, said, _ = command(
        "order", "--key", str(tmp_path / "ada.key"), "--consent", CONSENT, "--grant", held.id, "--reason", "Complaint"
    )  # fmt: skip
    assert code == 0
    first.write_text(said)
    code, said, _ = command("order", "--key", str(tmp_path / "blai.key"), "--same-as", str(first))
    assert code == 0
    second.write_text(said)
    answered = send(city, first.read_text().strip(), second.read_text().strip())
    assert answered.status_code == 200, answered.text
    answer.write_text(answered.text)
    keys = ["--key", str(tmp_path / "blai.key"), "--key", str(tmp_path / "ada.key")]
    code, said, _ = command("open", str(answer), *keys)
    assert code == 0
    assert verify_case(parse_case(said.encode()), log_vkey=city.vkey).grant_id == held.id
    for wrong in (keys[:2], [*keys[:2], *keys[:2]]):
        code, said, fault = command("open", str(answer), *wrong)
        assert (code, said) == (1, "") and fault
    city.close()


def test_a_command_overwrites_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    key = tmp_path / "ada.key"
    key.write_text("mine")
    code, said, _ = command("key", "ada", "--out", str(key))
    assert (code, said, key.read_text()) == (2, "", "mine")
    assert command("init", str(key), str(key), "--out", str(tmp_path / "x"))[0] == 1
    assert command("open", str(tmp_path / "none"), "--key", str(key), "--key", str(key))[0] in (1, 2)
    assert command("order", "--key", str(key), "--grant", "x")[0] == 1
    assert command("key", "n" * 65, "--out", str(tmp_path / "y"))[0] == 1 and not (tmp_path / "y").exists()
