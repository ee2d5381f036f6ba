"""Accesses that rest on law, openings by officers, oppositions: what is shown, and every lie that is found."""

import secrets
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from consent.grant.opening import seal_event
from consent.ledger.event import commitment, make_event
from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind, Leaf
from identity.codec import base64url
from identity.keys.agreement import AgreementPrivateKey
from identity.trust.bases import Basis, VerifiedBases
from tests.unit.wallet_cli.conftest import NOW, Wallet
from wallet_cli import texts
from wallet_cli.consents import own_events
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import OFFICERS, Item
from wallet_cli.consents.numbers import Numbers
from wallet_cli.consents.own_events import OwnEvents
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.invocation import Invocation
from wallet_cli.store import database, oppositions
from wallet_cli.store.consents import Account
from wallet_cli.store.oppositions import Opposition
from wallet_cli.terminal import Terminal
from wallet_cli.trust import bases
from wallet_cli.world import World

SERVICE, HOLDER, CONSENT = "urn:atorga:party:police", "urn:atorga:party:hacienda", "urn:atorga:party:consent"
PURPOSE = "https://w3id.org/dpv#LegalCompliance"
BASIS = Basis(
    "tax-audit@1", base64url.encode(bytes(32)), SERVICE, frozenset({HOLDER}), {"en": "Tax Act, article 93"},
    "the data protection officer", False, True, NOW - 1_000, NOW + 100_000,
)  # fmt: skip
APPROVED = VerifiedBases("urn:atorga:party:registry", 1, NOW, NOW + 1_000, "", (BASIS,))


@dataclass
class Log:
    """Leaves by their places."""

    leaves: dict[int, Leaf] = field(default_factory=dict)

    def leaf(self, place: int) -> Leaf:
        if place not in self.leaves:
            raise ConsentRefused("proof_refused", "log: no such entry")
        return self.leaves[place]


class Case:
    def __init__(self, wallet: Wallet) -> None:
        self.wallet, self.view = wallet, AgreementPrivateKey.generate()
        self.log = Log()
        self.items: list[Item] = []
        self.state = "active"

    def notice(self, **changes: Any) -> str:
        event = {"service": SERVICE, "purpose": PURPOSE, "declaration": "tax-audit@1", "attributes": ["income.band"]}
        return self.add(Kind.NOTICE, hash=base64url.encode(bytes(32)), **{**event, **changes})

    def add(self, kind: Kind, *, at: int = NOW, logged: int | None = NOW, flags: int = 0, **members: Any) -> str:
        leaf_id, salt = secrets.token_bytes(16), secrets.token_bytes(32)
        name, place = base64url.encode(leaf_id), len(self.items)
        event = make_event(kind, at_milliseconds=at * 1000, **members)
        leaf = Leaf(kind, flags, leaf_id, 0, 5, 6, (logged or 0) // 60, 0, 0, 0, commitment(event, salt))
        sealed = seal_event(self.view.public, leaf_id=name, counter=0, event=event, salt=salt)
        if logged is not None:
            self.log.leaves[place] = leaf
        self.items.append(Item(name, kind, 0, None if logged is None else place, sealed))
        return name

    @contextmanager
    def errand(self) -> Iterator[Errand]:
        secret = self.wallet.passphrase_file.read_bytes().strip()
        with database.opened(self.wallet.folder, lambda: secret) as store:
            world = World(Terminal(), clock=lambda: self.wallet.now)
            call = Invocation(world, texts.load("en"), Namespace())
            yield Errand(call, store, None, None, True)  # type: ignore[arg-type]

    def read(self) -> OwnEvents:
        account = Account(CONSENT, {}, self.view.private_jwk(), "", self.state)
        at = OpenAccount(None, account, None, "")  # type: ignore[arg-type]
        with self.errand() as errand:
            numbers = Numbers({SERVICE: 5}, {PURPOSE: 6})
            return own_events.read(errand, at, self.items, self.log, numbers)  # type: ignore[arg-type]

    def codes(self) -> list[str]:
        return [one.code for one in self.read().findings]

    def objected(self, **changes: Any) -> Opposition:
        made = Opposition("O" * 22, CONSENT, SERVICE, None, None, NOW - 500)
        made = replace(made, **changes)
        with self.errand() as errand, errand.store.transaction():
            oppositions.save(errand.store, made)
        return made


@pytest.fixture
def case(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(bases, "current", lambda network, store, *, now: APPROVED)
    return Case(wallet)


def test_an_access_by_law_with_its_law(case: Case) -> None:
    name = case.notice()
    found = case.read()
    assert not found.findings and found.entries[0].attributes == ("income.band",)
    assert found.laws == {name: {"en": "Tax Act, article 93"}}
    # It is kept: the list may drop the basis later.
    assert case.read().laws == found.laws


def test_without_the_list_it_is_said(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "current", lambda network, store, *, now: None)
    case.notice()
    found = case.read()
    assert found.bases_missing and not found.findings


@pytest.mark.parametrize(
    "changes", [{"declaration": "tax-audit@2"}, {"service": CONSENT}, {"at": NOW - 2_000, "logged": NOW}]
)
def test_a_basis_that_nobody_approved(case: Case, changes: dict[str, Any]) -> None:
    case.notice(**{"flags": GROUPED, **changes})
    assert case.codes() == ["unapproved_basis"]


def test_an_opening_by_officers_needs_no_basis(case: Case) -> None:
    case.add(Kind.NOTICE, declaration=OFFICERS, attributes=[], hash=base64url.encode(bytes(32)), flags=GROUPED)
    assert case.codes() == []


def test_one_written_down_late(case: Case) -> None:
    case.notice(at=NOW - 900)
    (entry,) = case.read().entries
    assert entry.late_seconds is not None and entry.late_seconds > 800
    # And it stays so when it is read again.
    assert case.read().entries[0].late_seconds == entry.late_seconds


def test_a_leaf_that_tells_the_day_only_is_not_late(case: Case) -> None:
    case.notice(logged=NOW // 86_400 * 86_400, flags=DAY_ONLY | GROUPED)
    found = case.read()
    assert not found.findings and found.entries[0].late_seconds is None


def test_one_that_is_promised(case: Case) -> None:
    case.notice(logged=None)
    assert case.read().entries[0].leaf_index is None


def test_one_that_was_there_is_gone(case: Case) -> None:
    case.notice()
    assert case.codes() == []
    case.items.clear()
    assert case.codes() == ["timeline_gap"]


@pytest.mark.parametrize("member", ["commitment", "id", "kind", "minute", "service"])
def test_another_leaf_than_the_event(case: Case, member: str) -> None:
    case.notice()
    leaf = case.log.leaves[0]
    other: dict[str, Any] = {"commitment": bytes(32), "id": bytes(16), "kind": Kind.OPPOSE, "minute": 1, "service": 9}
    case.log.leaves[0] = replace(leaf, **{member: other[member]})
    assert case.codes() == ["false_event"]


@pytest.mark.parametrize("change", [{"sealed": "AAAA"}, {"grant_id": "B" * 22}, {"kind": Kind.OPPOSE}, {"counter": 1}])
def test_an_item_that_is_not_what_it_says(case: Case, change: dict[str, Any]) -> None:
    case.notice()
    case.items[0] = replace(case.items[0], **change)
    assert "false_event" in case.codes()


def test_one_that_changes_after_it_was_shown(case: Case) -> None:
    name = case.notice()
    assert case.codes() == []
    other = case.notice(attributes=["household.size"])
    case.items = [replace(case.items[0], leaf_index=1), replace(case.items[1], leaf_index=0)]
    assert name != other and "false_event" in case.codes()


def test_sealed_to_the_wallet_that_was_lost(case: Case) -> None:
    case.notice()
    case.view, case.state = AgreementPrivateKey.generate(), "recovered"
    found = case.read()
    assert found.unreadable == 1 and not found.findings


# ── oppositions ──────────────────────────────────────────────────────────────────────────────


def test_an_access_in_spite_of_an_opposition(case: Case) -> None:
    made = case.objected()
    case.add(Kind.OPPOSE, hash=own_events._digest(made), flags=GROUPED)
    case.notice()
    assert case.codes() == ["opposed_access"]


@pytest.mark.parametrize(
    "changes",
    [{"service": HOLDER}, {"purpose": "https://w3id.org/dpv#Security"}, {"holder": HOLDER}, {"since": NOW - 10},
     {"ended": NOW - 100}],
    ids=["service", "purpose", "holder", "since", "ended"],
)  # fmt: skip
def test_an_opposition_that_is_about_something_else(case: Case, changes: dict[str, Any]) -> None:
    made = case.objected(**changes)
    case.add(Kind.OPPOSE, hash=own_events._digest(made), flags=GROUPED)
    case.notice()
    assert case.codes() == []


def test_a_basis_that_lets_nobody_object(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    firm = replace(APPROVED, bases=(replace(BASIS, opposable=False),))
    monkeypatch.setattr(bases, "current", lambda network, store, *, now: firm)
    made = case.objected()
    case.add(Kind.OPPOSE, hash=own_events._digest(made), flags=GROUPED)
    case.notice()
    assert case.codes() == []


def test_an_opposition_that_is_not_in_the_record(case: Case) -> None:
    case.objected()
    assert case.codes() == ["timeline_gap"]


def test_an_opposition_that_nobody_made(case: Case) -> None:
    case.add(Kind.OPPOSE, hash=base64url.encode(bytes(32)), flags=GROUPED)
    (finding,) = case.read().findings
    assert finding.code == "foreign_opposition" and not finding.grave
