"""D10, D12, D8: erasure, export, deletion, and the leaf of a grant that is past its end."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from consent import spec
from consent.grant.deletion_receipt import DeletionReceipt, sign_deletion_receipt
from consent.ledger.leaf import Kind, Leaf
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import (
    CONSENT,
    DAY,
    HOLDER,
    NOW,
    OTHER_SERVICE,
    SERVICE,
    Clock,
    ConsentCity,
    Held,
    Wallet,
)  # fmt: skip


def later(city: ConsentCity, seconds: float) -> None:
    assert isinstance(city.clock, Clock)
    city.clock.now += seconds
    city.registry = city.keys.listed(city.clock())


def erase(wallet: Wallet, grant_id: str | None) -> httpx.Response:
    return wallet.call("POST", "/me/erasure", {"grant_id": grant_id})


def files(city: ConsentCity) -> list[Path]:
    return [path for path in (city.folder / "opening").rglob("*") if path.is_file()]


def leaves(city: ConsentCity, held: Held) -> list[Leaf]:
    with city.engine.begin() as connection:
        rows = connection.execute(
            text("SELECT leaf FROM event WHERE grant_id = :id ORDER BY counter"), {"id": base64url.decode(held.id)}
        ).all()
    return [Leaf.from_bytes(bytes(row[0])) for row in rows]


def test_an_ended_grant_is_erased(wallet: Wallet) -> None:
    city = wallet.city
    kept, ended = wallet.give(), wallet.give()
    assert city.use(city.use_request(ended.id)).is_success
    wallet.withdraw(ended)
    assert len(files(city)) == 2
    answer = erase(wallet, ended.id)
    assert (answer.status_code, answer.json()) == (200, {"erased": [ended.id], "account": "kept"})
    assert len(files(city)) == 1
    assert [leaf.kind for leaf in leaves(city, ended)] == [Kind.GRANT, Kind.USE, Kind.WITHDRAW, Kind.ERASE]
    assert leaves(city, ended)[-1].counter == 4
    assert city.office.sequencer.wait(base64url.decode(ended.id), 4, seconds=5) is not None
    with city.engine.begin() as connection:
        stored = connection.execute(
            text("SELECT count(*) FROM event WHERE grant_id = :id AND (sealed IS NOT NULL OR receipt_id IS NOT NULL)"),
            {"id": base64url.decode(ended.id)},
        ).scalar_one()
        accounts = connection.execute(text("SELECT account FROM grant_row ORDER BY account")).scalars().all()
        bodies = connection.execute(text("SELECT grant_id FROM grant_body")).scalars().all()
        named = connection.execute(
            text("SELECT count(*) FROM request WHERE grant_id = :id"), {"id": base64url.decode(ended.id)}
        ).scalar_one()
    assert stored == 0 and accounts[0] == 0 and accounts[1] != 0 and named == 0
    assert [bytes(one) for one in bodies] == [base64url.decode(kept.id)]
    for path in (f"/me/grants/{ended.id}", ended.receipt):
        assert wallet.call("GET", path).status_code == 404
    assert [one["grant_id"] for one in wallet.call("GET", "/me/grants").json()["grants"]] == [kept.id]
    assert all(one["grant_id"] == kept.id for one in wallet.call("GET", "/me/timeline").json()["items"])
    request = city.use_request(ended.id)
    assert city.reasons(city.use(request), request) == ["unknown_grant"]
    assert erase(wallet, ended.id).json() == {"error": "unknown_grant"}
    # Its id is never given again, and its key's withdrawal is answered as for any that is not here.
    assert wallet.withdraw(ended).status_code == 202
    answer, _, _ = wallet.answer(city.ask(), grant_id=ended.id)
    assert answer.status_code == 409


@pytest.mark.parametrize("state", ["given", "paused"])
def test_what_lives_is_not_erased(wallet: Wallet, state: str) -> None:
    held = wallet.give()
    if state == "paused":
        assert wallet.act(held, 1, "pause").is_success
    answer = erase(wallet, held.id)
    assert (answer.status_code, answer.json()) == (409, {"error": state})
    assert len(files(wallet.city)) == 1 and wallet.opening(held)


def test_nobody_erases_anothers(wallet: Wallet) -> None:
    held = wallet.give()
    wallet.withdraw(held)
    other = Wallet(wallet.city, "other").enrolled()
    assert erase(other, held.id).status_code == 404
    assert wallet.opening(held)


def test_what_is_past_its_end_is_erased_and_says_so_first(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    later(city, 21 * DAY)
    assert erase(wallet, held.id).json()["erased"] == [held.id]
    assert [leaf.kind for leaf in leaves(city, held)] == [Kind.GRANT, Kind.EXPIRE, Kind.ERASE]


def test_everything_and_the_account(wallet: Wallet) -> None:
    city = wallet.city
    held = [wallet.give() for _ in range(3)]
    wallet.call("POST", "/me/mailboxes", {"mailbox": base64url.encode(bytes(16))})
    wallet.call("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None})
    wallet.withdraw(held[0])
    assert erase(wallet, None).json() == {"erased": [held[0].id], "account": "kept"}
    for one in held[1:]:
        wallet.withdraw(one)
    answer = erase(wallet, None).json()
    assert sorted(answer["erased"]) == sorted(one.id for one in held[1:]) and answer["account"] == "erased"
    assert files(city) == [] and wallet.call("GET", "/me/grants").status_code == 401
    with city.engine.begin() as connection:
        for table in ("account", "mailbox", "opposition", "notice_item", "grant_body", "account_key", "recovery"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
    again = Wallet(city, wallet.claim)
    assert again.enrol().status_code == 201, "nothing of the account is left"
    assert again.call("GET", "/me/grants").json() == {"grants": []}


@pytest.mark.parametrize("body", [{}, {"grant_id": 5}, {"grant_id": "short"}, {"grant_id": None, "more": 1}])
def test_a_malformed_erasure_is_refused(wallet: Wallet, body: Any) -> None:
    held = wallet.give()
    wallet.withdraw(held)
    assert wallet.call("POST", "/me/erasure", body).status_code == 400
    assert wallet.opening(held)


def test_a_recovered_account_erases_later(wallet: Wallet) -> None:
    held = wallet.give()
    wallet.withdraw(held)
    thief = Wallet(wallet.city, wallet.claim).enrolled()
    for grant_id in (held.id, None):
        answer = erase(thief, grant_id)
        assert (answer.status_code, answer.json()["error"]) == (403, "recovered")
    later(wallet.city, 72 * 3_600)
    assert erase(thief, held.id).status_code == 200


def test_a_recovery_leaves_no_older_copy_behind(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    again = Wallet(city, wallet.claim).enrolled()
    assert len(files(city)) == 2
    wallet.withdraw(held)
    later(city, 72 * 3_600)
    assert erase(again, held.id).status_code == 200
    assert files(city) == []


# ── expire ───────────────────────────────────────────────────────────────────────────────────


def test_a_grant_past_its_end_gets_its_leaf(wallet: Wallet) -> None:
    city = wallet.city
    held, other = wallet.give(), wallet.give()
    wallet.withdraw(other)
    city.office.duties.bookkeeping.round()
    assert [leaf.kind for leaf in leaves(city, held)] == [Kind.GRANT]
    later(city, 21 * DAY)
    city.office.duties.bookkeeping.round()
    city.office.duties.bookkeeping.round()
    assert [leaf.kind for leaf in leaves(city, held)] == [Kind.GRANT, Kind.EXPIRE]
    assert [leaf.kind for leaf in leaves(city, other)] == [Kind.GRANT, Kind.WITHDRAW]
    answer = wallet.withdraw(held).json()
    assert (answer["state"], answer["counter"], answer["effective_at"]) == ("expired", 2, NOW + 20 * DAY)


def test_rounds_go_through_all_grants(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.expiring.SCANNED_AT_ONCE", 2)
    held = [wallet.give() for _ in range(5)]
    later(wallet.city, 21 * DAY)
    for _ in range(3):
        wallet.city.office.duties.bookkeeping.round()
    assert all(leaves(wallet.city, one)[-1].kind is Kind.EXPIRE for one in held)


# ── deletion ─────────────────────────────────────────────────────────────────────────────────


def receipt(
    city: ConsentCity, held: Held, *, by: str = SERVICE, signer: SoftwareSigner | None = None, **changes: Any
) -> httpx.Response:
    now = int(city.clock())
    made = DeletionReceipt(by, CONSENT, base64url.encode(secrets.token_bytes(16)), now, held.id, ("income.band",), now)
    compact = sign_deletion_receipt(replace(made, **changes), signer or city.signer(by))
    path = f"/grants/{held.id}/deletion-receipts"
    answer = _post(city, by, path, compact)
    return answer if answer.status_code != 401 else _post(city, by, path, compact)


def _post(city: ConsentCity, by: str, path: str, compact: str) -> httpx.Response:
    proof = city.proof(city.signer(by), "POST", path, compact.encode())
    return city.send("POST", path, compact.encode(), request_proof=proof, content_type=spec.MEDIA_JWT)


def deletions(wallet: Wallet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wallet.call("GET", "/me/deletions").json()["deletions"]
    return found


def used(wallet: Wallet) -> Held:
    held = wallet.give()
    assert wallet.city.use(wallet.city.use_request(held.id)).status_code == 200
    wallet.city.office.duties.bookkeeping.round()
    return held


def test_what_was_read_is_due_and_then_overdue(wallet: Wallet, caplog: pytest.LogCaptureFixture) -> None:
    city = wallet.city
    wallet.give()
    held = used(wallet)
    [one] = deletions(wallet)
    minute = NOW - NOW % 60
    assert one == {"grant_id": held.id, "due": minute + 60 + 30 * DAY, "state": "due", "receipt": None}
    later(city, 31 * DAY)
    assert deletions(wallet)[0]["state"] == "overdue" and city.get("/statistics").json()["deletions_overdue"] == []
    city.office.duties.bookkeeping.round()
    assert city.get("/statistics").json()["deletions_overdue"] == [{"service": SERVICE, "count": 1}]
    assert "became overdue" in caplog.text and city.office.duties.deletions.alarms == 1
    city.office.duties.bookkeeping.round()
    assert city.office.duties.deletions.alarms == 1
    assert receipt(city, held).status_code == 201
    assert deletions(wallet)[0]["state"] == "received" and city.get("/statistics").json()["deletions_overdue"] == []


def test_an_end_brings_it_nearer(wallet: Wallet) -> None:
    city = wallet.city
    detail = city.detail(data_life_seconds=80 * DAY)
    held = wallet.give(city.ask(detail))
    city.use(city.use_request(held.id))
    city.office.duties.bookkeeping.round()
    # Its own end, 20 days from now, and 30 days.
    assert deletions(wallet)[0]["due"] == NOW + 50 * DAY
    wallet.withdraw(held)
    city.office.sequencer.wait(base64url.decode(held.id), 3, seconds=5)
    city.office.duties.bookkeeping.round()
    assert deletions(wallet)[0]["due"] == NOW - NOW % 60 + 30 * DAY


def test_a_later_use_asks_for_another_receipt(wallet: Wallet) -> None:
    city = wallet.city
    held = used(wallet)
    assert receipt(city, held).status_code == 201
    assert deletions(wallet)[0]["state"] == "received"
    later(city, 120)
    city.use(city.use_request(held.id))
    assert receipt(city, held, deleted_at=NOW).status_code == 400
    assert (deletions(wallet)[0]["state"], deletions(wallet)[0]["receipt"]) == ("due", None)
    assert receipt(city, held).status_code == 201


def test_a_receipt_is_its_own_services(wallet: Wallet) -> None:
    city = wallet.city
    held, unused = used(wallet), wallet.give()
    assert receipt(city, held, by=OTHER_SERVICE).json() == {"error": "unknown_grant"}
    assert receipt(city, held, by=HOLDER).json() == {"error": "unknown_grant"}
    for changes in (
        {"service": OTHER_SERVICE}, {"consent": SERVICE}, {"grant_id": unused.id}, {"deleted_at": NOW + 61},
        {"attributes": ()}, {"deleted_at": NOW - DAY},
    ):  # fmt: skip
        assert receipt(city, held, **changes).status_code == 400, changes
    assert receipt(city, held, signer=SoftwareSigner.generate()).status_code == 400
    assert receipt(city, unused).status_code == 400, "nothing was read under it"
    assert deletions(wallet)[0]["state"] == "due"
    assert deletions(Wallet(city, "other").enrolled()) == []


# ── export ───────────────────────────────────────────────────────────────────────────────────


def test_an_export_has_everything(wallet: Wallet) -> None:
    city = wallet.city
    held = used(wallet)
    mailbox = base64url.encode(bytes(16))
    wallet.call("POST", "/me/mailboxes", {"mailbox": mailbox})
    wallet.call("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None})
    export = wallet.call("GET", "/me/export").json()
    assert export.keys() == {"account", "mailboxes", "grants", "timeline", "oppositions", "deletions", "next"}
    assert export["account"]["account_jwk"] == wallet.key.public_key.jwk()
    assert export["mailboxes"] == [mailbox] and [one["grant_id"] for one in export["grants"]] == [held.id]
    assert export["grants"] == [wallet.call("GET", f"/me/grants/{held.id}").json()]
    timeline = wallet.call("GET", "/me/timeline").json()["items"]
    assert [one["sealed"] for one in export["timeline"]] == [one["sealed"] for one in timeline]
    assert export["next"] is None
    assert len(export["oppositions"]) == len(export["deletions"]) == 1
    stranger = Wallet(city, "stranger").enrolled().call("GET", "/me/export").json()
    assert [stranger[name] for name in ("mailboxes", "grants", "timeline", "oppositions", "deletions")] == [[]] * 5


def test_further_pages_are_of_the_timeline(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.reading.TIMELINE_PAGE", 2)
    for _ in range(3):
        used(wallet)
    first = wallet.call("GET", "/me/export").json()
    assert len(first["timeline"]) == 2 and len(first["grants"]) == 3
    path, seen, following = "/me/export", len(first["timeline"]), first["next"]
    while following is not None:
        proof = wallet.city.proof(wallet.key, "GET", path)
        page = wallet.city.send("GET", f"{path}?after={following}", request_proof=proof).json()
        assert page["grants"] == []
        seen, following = seen + len(page["timeline"]), page["next"]
    assert seen == 6
