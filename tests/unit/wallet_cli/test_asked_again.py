"""When a consent is asked for again: what has changed since, who else may read, and in whose words it is said."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.detail import Grantee
from consent.procedure.difference import text_difference
from tests.unit.wallet_cli.city import CONSENT, City, party, problem
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.consenting import DAY, INCOME, PURPOSE, Permissions
from tests.unit.wallet_cli.issuing import IssuerScript
from wallet_cli import texts
from wallet_cli.consents import labels, renewal
from wallet_cli.store import database

NOTICE = {"en": "For the rent subsidy. We keep it until it ends.", "ca": "Per a l’ajut."}


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    yield made
    made.close()


@pytest.fixture
def resident(city: City, wallet: Wallet) -> Wallet:
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    return wallet


def give(wallet: Wallet, permissions: Permissions, **changes: Any) -> Result:
    result = wallet.run("consent", "grant", permissions.ask(permissions.detail(**changes)), "--yes", "--json")
    assert result.code == 0, result.err
    return result


def test_nothing_is_said_where_nothing_changed(resident: Wallet, permissions: Permissions) -> None:
    give(resident, permissions)
    assert "has changed since you agreed" not in give(resident, permissions).err


def test_a_changed_text_is_shown_word_by_word(resident: Wallet, permissions: Permissions, city: City) -> None:
    give(resident, permissions)
    resident.now = city.now = city.now + 5
    permissions.declare(permissions.purpose_declaration(version=2, notice=NOTICE, retention_seconds=60 * DAY))
    shown = give(resident, permissions, identifier="rent-subsidy@2").err
    assert "what they say has changed since you agreed" in shown
    assert "For the rent subsidy. [NEW: We keep it until it ends.]" in shown
    assert "They keep it: before, 90 days; now, 60 days" in shown
    resident.now = city.now = city.now + 5
    catalan = resident.run(
        "--lang", "ca", "consent", "grant", permissions.ask(permissions.detail(identifier="rent-subsidy@2")), "--yes"
    )
    assert "ha canviat" not in catalan.out + catalan.err, "it was agreed to meanwhile"


def test_fewer_data_are_said_too(resident: Wallet, permissions: Permissions) -> None:
    give(resident, permissions)
    permissions.declare(permissions.purpose_declaration(version=2, datatypes=(INCOME,)))
    detail = permissions.detail()
    only = {INCOME: detail.terms[INCOME]}
    shown = give(resident, permissions, identifier="rent-subsidy@2", datatypes=(INCOME,), terms=only).err
    assert "They want no longer: people in the household" in shown


def test_a_permission_of_before_this_wallet_kept_declarations(resident: Wallet, permissions: Permissions) -> None:
    """Its receipt has the text."""
    give(resident, permissions)
    secret = resident.passphrase_file.read_bytes().strip()
    with database.opened(resident.folder, lambda: secret) as store, store.transaction():
        store.change("UPDATE consent SET purpose = NULL")
    permissions.declare(permissions.purpose_declaration(version=2, notice=NOTICE))
    assert "[NEW: We keep it" in give(resident, permissions, identifier="rent-subsidy@2").err


def test_what_is_new_and_gone_is_marked_in_words() -> None:
    pieces = text_difference("we keep it a year", "we keep it for ever")
    assert renewal.marked(texts.load("en"), pieces) == "we keep it [GONE: a year] [NEW: for ever]"
    assert "\x1b" not in renewal.marked(texts.load("es"), text_difference("", "a\x1b[31mred"))


# ── any accredited service ───────────────────────────────────────────────────────────────────

GRANTEE = Grantee("urn:atorga:accreditation:1", party("bcn"))


def accredited(city: City, answer: Any, status: int = 200) -> None:
    city.answer("GET", f"{CONSENT}/accredited", lambda _: httpx.Response(status, json=answer))


def test_who_qualifies_today(resident: Wallet, permissions: Permissions, city: City) -> None:
    until = int(city.now) + 30 * DAY
    accredited(city, {"services": [{"id": party("social-services"), "name": {"en": "IGNORED"}, "until": until}]})
    shown = give(resident, permissions, grantee=GRANTEE).err
    assert "not one service only" in shown and "The bcn" in shown
    assert "- The social-services, until" in shown and "IGNORED" not in shown
    assert "Others can be added later" in shown


@pytest.mark.parametrize(
    "answer",
    [{}, {"services": 7}, {"services": [7]}, {"services": [{"id": "urn:atorga:party:nobody", "until": 1}]},
     {"services": [{"id": party("bcn"), "until": 1}]}],
)  # fmt: skip
def test_who_qualifies_cannot_be_said(resident: Wallet, permissions: Permissions, city: City, answer: Any) -> None:
    accredited(city, answer)
    shown = give(resident, permissions, grantee=GRANTEE).err
    assert "not one service only" in shown and "could not find out" in shown


def test_nobody_qualifies(resident: Wallet, permissions: Permissions, city: City) -> None:
    accredited(city, {"services": []})
    assert "Today this is nobody" in give(resident, permissions, grantee=GRANTEE).err
    city.answer("GET", f"{CONSENT}/accredited", lambda _: problem(503, "busy"))
    assert "could not find out" in give(resident, permissions, grantee=GRANTEE).err


# ── words ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_no_address_of_a_term_is_shown(resident: Wallet, permissions: Permissions, language: str) -> None:
    result = resident.run("--lang", language, "consent", "grant", permissions.ask(), "--yes")
    assert result.code == 0, result.err
    assert "https://w3id.org" not in result.out
    assert labels.term(texts.load(language), PURPOSE) in result.out


def test_procedures_have_the_names_of_the_catalogue() -> None:
    assert labels.procedure(texts.load("es"), "library-card") != "library-card"
    assert labels.procedure(texts.load("es"), "unheard-of\x1b[2J") == "unheard-of [2J"


def test_data_without_a_word_of_ours_have_their_category() -> None:
    category = "https://w3id.org/dpv/pd#Income"
    assert labels.attribute(texts.load("en"), "tax.debt", category) == "Income (tax.debt)"
    assert labels.attribute(texts.load("en"), "income.band", category) == "income band"
