"""What an event may say about a grant that this wallet signed: each member that could lie."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.errors import ConsentError
from consent.grant.act import Amend, Deed, Pause, sign_act
from consent.grant.detail import AuthorizationDetail, Grantee, Term
from consent.grant.grant import sign_grant
from consent.grant.request import ConsentRequest, VerifiedRequest, sign_request
from consent.grant.withdrawal import sign_withdrawal
from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind, Leaf
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.signer import SoftwareSigner
from tests.unit.wallet_cli.conftest import NOW
from wallet_cli.consents import fitting
from wallet_cli.consents.numbers import Numbers
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import Network
from wallet_cli.store import acts, consents, database
from wallet_cli.store.acts import OwnAct
from wallet_cli.store.consents import HeldGrant
from wallet_cli.store.database import Store

SERVICE, PURPOSE = "urn:atorga:party:social-services", "https://w3id.org/dpv#PublicBenefit"
INCOME, HOUSEHOLD, OTHER = "income.band", "household.size", "tax.number"
GRANT_ID = base64url.encode(bytes(16))
KEY = SoftwareSigner.generate()
NUMBERS = Numbers({SERVICE: 3}, {PURPOSE: 5})


def grant() -> HeldGrant:
    """Income only, of three attributes that were asked for."""
    detail = AuthorizationDetail(
        holder="urn:atorga:party:hacienda", identifier="rent-subsidy@1", procedure="rent-subsidy", purpose=PURPOSE,
        datatypes=(OTHER, INCOME, HOUSEHOLD),
        terms={name: Term("raw", True) for name in (OTHER, INCOME, HOUSEHOLD)},
        level="readable", mode="view", fetch="periodic", frequency=None, max_uses=10,
        not_before=NOW, not_after=NOW + 1_000, data_life_seconds=1_000, on_change="ask",
    )  # fmt: skip
    asked = ConsentRequest(SERVICE, "urn:atorga:party:consent", GRANT_ID, NOW, NOW + 600, None, detail)
    compact = sign_request(asked, KEY)
    signed = sign_grant(
        grant_id=GRANT_ID,
        request=VerifiedRequest(asked, compact, jws.digest(compact)),
        detail=detail.without(frozenset({OTHER, HOUSEHOLD})),
        decision="given",
        now=NOW,
        signer=KEY,
    )
    return HeldGrant(
        GRANT_ID, "urn:atorga:party:consent", SERVICE, detail.holder, signed, KEY.private_jwk(), "given", NOW, None
    )


HELD = grant()
GIVEN = {
    "service": SERVICE,
    "purpose": PURPOSE,
    "grant_hash": jws.digest(HELD.grant_jws),
    "attributes": [INCOME],
    "not_after": NOW + 1_000,
}
USED = {"service": SERVICE, "purpose": PURPOSE, "attributes": [INCOME]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database.create(tmp_path / "w", b"x", settings={}, random=bytes, memory_kib=64)
    with database.opened(tmp_path / "w", lambda: b"x") as opened:
        with opened.transaction():
            consents.save_grant(opened, HELD)
        yield opened


def withdrawn(store: Store, attributes: tuple[str, ...] | None, *, effective_at: int | None) -> str:
    """A withdrawal made at NOW + 100; its digest."""
    signed = sign_withdrawal(GRANT_ID, attributes, signer=KEY, now=NOW + 100, random=bytes)
    with store.transaction():
        consents.save_withdrawal(store, "j", GRANT_ID, signed, {"consent": "x"}, now=NOW + 100)
        if effective_at is not None:
            consents.set_door_answer(store, "j", "consent", "withdrawn", effective_at)
    return jws.digest(signed)


def test_what_fits(store: Store) -> None:
    fitting.check(store, HELD, Kind.GRANT, GIVEN, at=NOW)
    fitting.check(store, HELD, Kind.USE, USED, at=NOW + 10)


@pytest.mark.parametrize(
    "change",
    [
        {"service": "urn:atorga:party:portal"},
        {"purpose": "https://w3id.org/dpv#Marketing"},
        {"grant_hash": base64url.encode(bytes(32))},
        {"attributes": [INCOME, HOUSEHOLD]},
        {"not_after": NOW + 1_001},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_grant_that_was_not_signed_so(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(ConsentRefused) as caught:
        fitting.check(store, HELD, Kind.GRANT, {**GIVEN, **change}, at=NOW)
    assert caught.value.code == "proof_refused"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"service": "urn:atorga:party:portal"}, NOW + 10),
        ({"purpose": "https://w3id.org/dpv#Marketing"}, NOW + 10),
        ({"attributes": [HOUSEHOLD]}, NOW + 10),
        ({"attributes": [INCOME, OTHER]}, NOW + 10),
        ({}, NOW + 1_000 + fitting.SKEW_SECONDS),
        ({}, NOW - fitting.SKEW_SECONDS - 1),
    ],
)
def test_a_use_that_was_not_given(store: Store, change: dict[str, Any], at: int) -> None:
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, Kind.USE, {**USED, **change}, at=at)


def test_a_use_after_the_withdrawal_took_effect(store: Store) -> None:
    withdrawn(store, None, effective_at=NOW + 101)
    fitting.check(store, HELD, Kind.USE, USED, at=NOW + 101)
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, Kind.USE, USED, at=NOW + 102)
    assert fitting.is_taken(store, HELD)


def test_a_use_of_one_attribute_after_its_withdrawal(store: Store) -> None:
    withdrawn(store, (INCOME,), effective_at=NOW + 101)
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, Kind.USE, USED, at=NOW + 102)
    assert not fitting.is_taken(store, HELD)


def test_a_withdrawal_that_nobody_has_answered_binds_nobody_yet(store: Store) -> None:
    withdrawn(store, None, effective_at=None)
    fitting.check(store, HELD, Kind.USE, USED, at=NOW + 500)
    assert not fitting.is_taken(store, HELD)


@pytest.mark.parametrize("at", [NOW + 100, NOW + 101, NOW + 101 + fitting.SKEW_SECONDS])
def test_a_withdrawal_of_our_own(store: Store, at: int) -> None:
    event = {"service": SERVICE, "purpose": PURPOSE, "withdrawal_hash": withdrawn(store, None, effective_at=NOW + 101)}
    fitting.check(store, HELD, Kind.WITHDRAW, event, at=at)


@pytest.mark.parametrize("at", [NOW, NOW + 102 + fitting.SKEW_SECONDS])
def test_a_withdrawal_of_our_own_at_another_time(store: Store, at: int) -> None:
    event = {"service": SERVICE, "purpose": PURPOSE, "withdrawal_hash": withdrawn(store, None, effective_at=NOW + 101)}
    with pytest.raises(ConsentRefused, match="another time"):
        fitting.check(store, HELD, Kind.WITHDRAW, event, at=at)


def test_a_withdrawal_that_we_did_not_sign(store: Store) -> None:
    withdrawn(store, None, effective_at=NOW + 101)
    event = {"service": SERVICE, "purpose": PURPOSE, "withdrawal_hash": base64url.encode(bytes(32))}
    with pytest.raises(ConsentRefused, match="did not sign"):
        fitting.check(store, HELD, Kind.WITHDRAW, event, at=NOW + 101)


SERVED: dict[str, Any] = {
    "services": [{"id": SERVICE, "number": 3}],
    "purposes": [{"iri": PURPOSE, "number": 5}],
    "groups": [],
}


def test_the_published_numbers() -> None:
    assert numbers_of(SERVED) == NUMBERS


@pytest.mark.parametrize(
    "change",
    [
        {"services": None},
        {"purposes": 7},
        {"services": [7]},
        {"services": [{"id": SERVICE, "number": 0}]},
        {"services": [{"id": SERVICE}]},
        {"services": [{"id": SERVICE, "number": 3}, {"id": SERVICE, "number": 4}]},
        {"services": [{"id": SERVICE, "number": 3}, {"id": "another", "number": 3}]},
        {"services": [{"id": str(number), "number": number} for number in range(1, 100_002)]},
    ],
    ids=["none", "number", "numbers", "zero", "member", "one-name", "one-number", "too-many"],
)
def test_numbers_with_two_meanings(change: dict[str, Any]) -> None:
    with pytest.raises((ConsentRefused, NetworkError)) as caught:
        numbers_of({**SERVED, **change})
    assert caught.value.code == "bad_answer"


def numbers_of(served: dict[str, Any]) -> Numbers:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=served))
    return Numbers.fetch(Network(True, {}, transport), "http://localhost:8101")


def leaf(**changes: Any) -> Leaf:
    made = Leaf(
        kind=Kind.USE, flags=0, id=bytes(16), counter=2, service=3, purpose=5, minute=(NOW + 10) // 60,
        mask=0b010, end_day=0, max_uses=0, commitment=bytes(32),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.mark.parametrize(
    "changes",
    [{}, {"minute": NOW // 60 + 60}, {"flags": DAY_ONLY, "minute": 0}, {"flags": GROUPED, "service": 9, "purpose": 9}],
)
def test_a_leaf_that_says_the_same(changes: dict[str, Any]) -> None:
    fitting.check_leaf(leaf(**changes), Kind.USE, USED, NUMBERS, HELD, at=NOW + 10)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": Kind.DENY},
        {"mask": 0b001},
        {"mask": 0b110},
        {"minute": (NOW + 10) // 60 - 1},
        {"service": 4},
        {"purpose": 4},
    ],
    ids=lambda changes: "-".join(map(str, next(iter(changes.items())))),
)
def test_a_leaf_that_says_something_else(changes: dict[str, Any]) -> None:
    with pytest.raises((ConsentRefused, ConsentError)):
        fitting.check_leaf(leaf(**changes), Kind.USE, USED, NUMBERS, HELD, at=NOW + 10)


# ── acts, and grants for others too ──────────────────────────────────────────────────────────


def acted(store: Store, deed: Deed) -> str:
    """An act of this wallet; its digest."""
    signed = sign_act(GRANT_ID, 1, deed, consent=HELD.consent, signer=KEY, now=NOW, random=bytes)
    with store.transaction():
        acts.save_act(store, OwnAct("j", GRANT_ID, 1, deed.verb, signed, NOW, None))
    return jws.digest(signed)


def test_an_act_of_this_wallet(store: Store) -> None:
    digest = acted(store, Pause())
    fitting.check(store, HELD, Kind.PAUSE, {**USED, "act_hash": digest}, at=NOW)


@pytest.mark.parametrize(("kind", "hash_"), [(Kind.PAUSE, "foreign"), (Kind.RESUME, None)], ids=["hash", "verb"])
def test_an_act_that_this_wallet_did_not_make_so(store: Store, kind: Kind, hash_: str | None) -> None:
    digest = acted(store, Pause())
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, kind, {**USED, "act_hash": hash_ or digest}, at=NOW)


@pytest.mark.parametrize("change", [{"attributes": [INCOME, HOUSEHOLD]}, {"not_after": NOW + 999}])
def test_a_narrowing_that_says_something_else(store: Store, change: dict[str, Any]) -> None:
    detail = replace(fitting.detail_of(HELD), not_after=NOW + 500)
    event = {**USED, "act_hash": acted(store, Amend(detail)), "not_after": NOW + 500}
    fitting.check(store, HELD, Kind.AMEND, event, at=NOW)
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, Kind.AMEND, {**event, **change}, at=NOW)


def test_another_service_uses_only_what_is_for_any_accredited_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = {**USED, "service": "urn:atorga:party:portal"}
    leaf = Leaf(Kind.USE, 0, bytes(16), 2, 3, 5, NOW // 60, 2, 0, 0, bytes(32))
    with pytest.raises(ConsentRefused):
        fitting.check(store, HELD, Kind.USE, used, at=NOW + 10)
    wide = replace(fitting.detail_of(HELD), grantee=Grantee("urn:atorga:accreditation:1", "urn:atorga:party:bcn"))
    monkeypatch.setattr(fitting, "detail_of", lambda _: wide)
    fitting.check(store, HELD, Kind.USE, used, at=NOW + 10)
    # Its leaf goes on under the number of the service that the grant names.
    fitting.check_leaf(leaf, Kind.USE, used, NUMBERS, HELD, at=NOW)
    with pytest.raises(ConsentRefused):
        fitting.check_leaf(replace(leaf, service=9), Kind.USE, used, NUMBERS, HELD, at=NOW)
