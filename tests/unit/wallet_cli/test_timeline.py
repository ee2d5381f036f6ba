"""`wallet timeline`: what is shown, and every lie that it finds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.ledger.leaf import Kind, Leaf
from consent.ledger.promise import sign_promise
from consent.log.note import ED25519, NoteKey
from consent.log.writer import LogWriter
from identity.codec import base64url
from identity.keys.ed25519 import Ed25519Signer
from tests.unit.wallet_cli.city import CONSENT, HOLDER, LOG_ORIGIN, LOG_SEED, City, party
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.consenting import HOUSEHOLD, INCOME, Permissions
from tests.unit.wallet_cli.issuing import SECRETS, IssuerScript

TIMELINE = ("GET", f"{CONSENT}/me/timeline")
LOG_KEY = NoteKey(LOG_ORIGIN, ED25519, Ed25519Signer(LOG_SEED).public)
Twist = Callable[[dict[str, Any]], None]


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


@pytest.fixture
def grant_id(resident: Wallet, permissions: Permissions) -> str:
    """A permission that was used twice."""
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0, result.err
    made = str(result.json["grant_id"])
    assert permissions.use(made)
    assert permissions.use(made, INCOME, HOUSEHOLD)
    return made


def read(wallet: Wallet) -> Result:
    return wallet.run("timeline", "--json")


def is_loud(wallet: Wallet, *codes: str) -> Result:
    result = read(wallet)
    assert result.code == 1
    assert result.json["error"] in codes, result.err
    assert "WARNING" in result.err
    return result


def twist_timeline(city: City, permissions: Permissions, twist: Twist) -> None:
    """The consent service's timeline, changed on its way."""

    def answer(request: httpx.Request) -> httpx.Response:
        honest = permissions.forward(request)
        if honest.status_code != 200:
            return honest
        value = honest.json()
        twist(value)
        return httpx.Response(200, json=value)

    city.answer(*TIMELINE, answer)


# ── what is shown ────────────────────────────────────────────────────────────────────────────


def test_every_use_is_there(resident: Wallet, grant_id: str) -> None:
    result = read(resident)
    assert result.code == 0, result.err
    events = result.json["events"]
    assert [(one["kind"], one["counter"]) for one in events] == [("grant", 1), ("use", 2), ("use", 3)]
    assert events[1]["attributes"] == [INCOME] and events[1]["released"] is True
    assert "The social-services: READ YOUR DATA: income band" in result.err
    assert "Not witnessed" in result.err
    assert not any(secret in result.err + result.out for secret in SECRETS)


def test_an_empty_timeline(resident: Wallet) -> None:
    nothing: list[str] = []
    assert read(resident).json == {
        "usage": nothing, "totals": nothing, "events": nothing, "remarks": nothing, "witnessed_by": nothing,
    }  # fmt: skip


def test_what_was_allowed_and_not_handed_over(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    assert permissions.use(grant_id, release=False)
    result = read(resident)
    assert result.json["events"][-1]["released"] is False
    assert "nothing was handed over" in result.err


def test_after_a_withdrawal(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    resident.now = city.now = city.now + 10
    resident.run("consent", "withdraw", grant_id)
    result = read(resident)
    assert result.code == 0, result.err
    assert result.json["events"][-1]["kind"] == "withdraw"


def test_single_attributes_are_taken_back(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    resident.run("consent", "withdraw", grant_id, "--attribute", HOUSEHOLD)
    assert permissions.use(grant_id)
    result = read(resident)
    assert result.code == 0, result.err
    assert [one["kind"] for one in result.json["events"]] == ["grant", "use", "use", "amend", "use"]


def test_twice_is_the_same(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    first = read(resident).json
    assert read(resident).json == first
    permissions.use(grant_id)
    city.asked.clear()
    assert len(read(resident).json["events"]) == 4


def test_many_pages(resident: Wallet, permissions: Permissions, grant_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from consent.service import reading

    monkeypatch.setattr(reading, "TIMELINE_PAGE", 1)
    assert [one["counter"] for one in read(resident).json["events"]] == [1, 2, 3]


# ── what the consent service may try ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_event(resident: Wallet, permissions: Permissions, city: City, grant_id: str, place: int) -> None:
    twist_timeline(city, permissions, lambda value: value["items"].pop(place))
    is_loud(resident, "timeline_gap", "proof_refused")


def test_a_missing_event_that_the_grant_does_not_count_either(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    """The last use is hidden everywhere; the data holder's journal tells."""
    twist_timeline(city, permissions, lambda value: value["items"].pop())

    def count_less(request: httpx.Request) -> httpx.Response:
        honest = permissions.forward(request)
        value = honest.json()
        if honest.status_code == 200:
            value["grants"][0]["counter"] = 2
        return httpx.Response(honest.status_code, headers=honest.headers, json=value)

    city.answer("GET", f"{CONSENT}/me/grants", count_less)
    is_loud(resident, "release_without_use", "proof_refused")


def test_an_event_that_was_there_is_gone(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert read(resident).code == 0
    permissions.releases.clear()

    def count_less(request: httpx.Request) -> httpx.Response:
        honest = permissions.forward(request)
        value = honest.json()
        if honest.status_code == 200:
            value["grants"][0]["counter"] = 1
        return httpx.Response(honest.status_code, headers=honest.headers, json=value)

    city.answer("GET", f"{CONSENT}/me/grants", count_less)
    city.answer("GET", f"{HOLDER}/journal", lambda _: httpx.Response(404))
    twist_timeline(city, permissions, lambda value: value.update(items=value["items"][:1]))
    is_loud(resident, "timeline_gap")


def test_a_whole_grant_is_gone(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    permissions.releases.clear()
    twist_timeline(city, permissions, lambda value: value.update(items=[]))
    city.answer("GET", f"{CONSENT}/me/grants", lambda _: httpx.Response(200, json={"grants": []}))
    is_loud(resident, "timeline_gap")


@pytest.mark.parametrize(
    "change",
    [
        {"leaf_index": 0},
        {"leaf_index": 10_000},
        {"counter": 9},
        {"kind": "withdraw"},
        {"sealed": "AAAA"},
    ],
    ids=lambda change: next(iter(change)) + str(next(iter(change.values()))),
)
def test_an_event_that_is_not_what_it_says(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, change: dict[str, Any]
) -> None:
    twist_timeline(city, permissions, lambda value: value["items"][1].update(change))
    is_loud(resident, "proof_refused", "false_event", "timeline_gap")


def test_a_use_shown_as_another_one(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    def swap(value: dict[str, Any]) -> None:
        first, second = value["items"][1], value["items"][2]
        first["sealed"], second["sealed"] = second["sealed"], first["sealed"]

    twist_timeline(city, permissions, swap)
    is_loud(resident, "proof_refused", "false_event", "timeline_gap")


def test_an_event_that_changes_after_it_was_shown(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    assert read(resident).code == 0

    def other_place(value: dict[str, Any]) -> None:
        value["items"][1]["leaf_index"], value["items"][2]["leaf_index"] = 99, 100

    twist_timeline(city, permissions, other_place)
    is_loud(resident, "false_event", "proof_refused", "timeline_gap")


@pytest.mark.parametrize("items", [None, 7, [1], [{}], [{"grant_id": "x"}]])
def test_what_is_no_timeline(resident: Wallet, permissions: Permissions, city: City, grant_id: str, items: Any) -> None:
    twist_timeline(city, permissions, lambda value: value.update(items=items))
    assert (read(resident).code, read(resident).json["error"]) == (1, "bad_answer")


def test_a_grant_that_this_wallet_did_not_give(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    from wallet_cli.store import database

    secret = resident.passphrase_file.read_bytes().strip()
    with database.opened(resident.folder, lambda: secret) as store, store.transaction():
        store.change("DELETE FROM consent")
    result = is_loud(resident, "foreign_grant")
    assert grant_id in result.err


# ── the log ──────────────────────────────────────────────────────────────────────────────────


def test_a_flipped_byte_in_an_entry(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    def flipped(request: httpx.Request) -> httpx.Response:
        content = bytearray(permissions.forward(request).content)
        content[-1] ^= 1
        return httpx.Response(200, content=bytes(content))

    city.answer("GET", f"{CONSENT}/log/tile/entries/*", flipped)
    is_loud(resident, "false_event", "proof_refused", "timeline_gap")


def test_another_tree_than_before(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, tmp_path: Path
) -> None:
    """The same key signs a second history of the same length and longer."""
    assert read(resident).code == 0
    honest = permissions.office.sequencer.writer
    fork = LogWriter(tmp_path / "fork", LOG_ORIGIN, Ed25519Signer(LOG_SEED))
    leaves = [honest.entry(at) for at in range(honest.size)]
    fork.append([Leaf.from_bytes(leaves[0]).at_minute(1).to_bytes(), *leaves[1:], leaves[-1]])

    def forked(request: httpx.Request) -> httpx.Response:
        path = tmp_path / "fork" / str(request.url.path).removeprefix("/log/")
        return httpx.Response(200, content=path.read_bytes()) if path.is_file() else httpx.Response(404)

    city.answer("GET", f"{CONSENT}/log/*", forked)
    result = read(resident)
    assert (result.code, result.json["error"]) == (1, "proof_refused")
    assert "cheats" in result.err
    fork.close()


def test_a_shorter_log_than_before(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert read(resident).code == 0
    kept = (permissions.folder / "log").glob("checkpoint.*")
    older = min(kept, key=lambda path: int(path.suffix[1:])).read_bytes()
    city.answer("GET", f"{CONSENT}/log/checkpoint", lambda _: httpx.Response(200, content=older))
    assert read(resident).json["error"] == "proof_refused"


def test_a_log_under_another_key(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    """The list changes the log's key after it was pinned."""
    other = NoteKey(LOG_ORIGIN, ED25519, Ed25519Signer(bytes(32)).public).format()
    real = City._claims

    def changed() -> dict[str, Any]:
        claims = real(city)
        for entry in claims["parties"]:
            if entry["id"] == party("consent"):
                entry["log_vkey"] = other
        return claims

    city._claims = changed  # type: ignore[method-assign]
    city.version = 2
    assert read(resident).json["error"] == "proof_refused"


def test_a_leaf_that_names_another_service(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    def renumbered(request: httpx.Request) -> httpx.Response:
        value = permissions.forward(request).json()
        for one in value["services"]:
            one["number"] += 7
        return httpx.Response(200, json=value)

    city.answer("GET", f"{CONSENT}/services", renumbered)
    is_loud(resident, "false_event", "proof_refused", "timeline_gap")


def test_a_promise_that_is_not_kept(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    def promised(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request).json()
        index = permissions.office.sequencer.writer.size - 1
        leaf = Leaf.from_bytes(permissions.office.sequencer.writer.entry(index))
        assert leaf.kind is Kind.WITHDRAW
        answer.pop("proof", None)
        answer["promise"] = sign_promise(leaf, due=int(city.now) + 60, key=LOG_KEY, signer=Ed25519Signer(LOG_SEED))
        return httpx.Response(200, json=answer)

    city.answer("POST", f"{CONSENT}/withdrawals", promised)
    assert resident.run("consent", "withdraw", grant_id, "--json").code == 0

    def drop(value: dict[str, Any]) -> None:
        for item in value["items"]:
            if item["kind"] == "withdraw":
                item["leaf_index"] = None

    twist_timeline(city, permissions, drop)
    waiting = read(resident)
    assert waiting.code == 0
    assert "not in the public record yet" in waiting.err
    resident.now = city.now = city.now + 120
    is_loud(resident, "broken_promise")
    city.answers.pop(TIMELINE)
    assert read(resident).code == 0
    resident.now = city.now = city.now + 120
    assert read(resident).code == 0


def test_what_was_only_promised_is_said_again_until_it_is_logged(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    """A withdrawal that stands in no log is lost with an old copy of the database, and comes back by this."""
    heard: list[bytes] = []

    def promised(request: httpx.Request) -> httpx.Response:
        heard.append(request.content)
        answer = permissions.forward(request).json()
        leaf = Leaf.from_bytes(permissions.office.sequencer.writer.entry(permissions.office.sequencer.writer.size - 1))
        answer.pop("proof", None)
        answer["promise"] = sign_promise(leaf, due=int(city.now) + 60, key=LOG_KEY, signer=Ed25519Signer(LOG_SEED))
        return httpx.Response(200, json=answer)

    city.answer("POST", f"{CONSENT}/withdrawals", promised)
    assert resident.run("consent", "withdraw", grant_id, "--json").code == 0
    assert len(heard) == 1
    # The timeline says it again, then finds the leaf; nothing is left to say.
    assert read(resident).code == 0
    assert heard[1:] == heard[:1], "the same message"
    assert read(resident).code == 0
    assert len(heard) == 2


# ── withdrawals that are not honoured ────────────────────────────────────────────────────────


def test_a_use_after_the_withdrawal_took_effect(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    """The consent service says that it took the withdrawal, keeps it from its rows, and lets one more use pass."""
    effective = int(city.now)
    lie = {"state": "withdrawn", "counter": 4, "effective_at": effective}
    city.answer("POST", f"{CONSENT}/withdrawals", lambda _: httpx.Response(200, json=lie))
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert "neither a proof nor a promise" in result.err
    resident.now = city.now = city.now + 30
    assert permissions.use(grant_id)
    found = is_loud(resident, "proof_refused")
    assert "a use after the withdrawal took effect" in found.err
    assert "in force again" in found.err


def test_a_withdrawal_dated_before_it_was_made(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    city.now += 3_600  # the consent service's clock is set back against the resident's
    resident.now = city.now + 3_600
    resident.run("consent", "withdraw", grant_id)
    resident.now = city.now
    found = is_loud(resident, "false_event", "proof_refused", "timeline_gap")
    assert "dated at another time" in found.err


# ── the data holder's journal ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "release",
    [
        {"counter": 9},
        {"counter": 1},
        {"counter": 2, "attributes": (INCOME, HOUSEHOLD)},
        {"grant_id": base64url.encode(bytes(16)), "counter": 2},
    ],
    ids=["unknown", "grant", "more", "other-grant"],
)
def test_a_release_that_the_log_does_not_know(
    resident: Wallet, permissions: Permissions, grant_id: str, release: dict[str, Any]
) -> None:
    permissions.release(**{"grant_id": grant_id, **release})
    is_loud(resident, "release_without_use")


def test_a_journal_that_forgets(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    assert read(resident).code == 0
    permissions.releases.pop(0)
    assert read(resident).json["error"] == "proof_refused"


def test_a_journal_whose_root_is_not_its_own(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    real = city.answers[("GET", f"{HOLDER}/journal")]

    def other(request: httpx.Request) -> httpx.Response:
        answer = real(request)
        value = answer.json()
        if "root" in value:
            value["root"] = base64url.encode(bytes(32))
        return httpx.Response(answer.status_code, headers=answer.headers, json=value)

    city.answer("GET", f"{HOLDER}/journal", other)
    assert read(resident).json["error"] == "proof_refused"


@pytest.mark.parametrize(
    "value",
    [{}, {"releases": [], "root": "x"}, {"releases": 7, "root": "A" * 43}, {"releases": [7], "root": "A" * 43},
     {"releases": [{"use_id": "x"}], "root": "A" * 43}],
    ids=["empty", "root", "number", "numbers", "members"],
)  # fmt: skip
def test_a_journal_that_cannot_be_read_is_named(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, value: dict[str, Any]
) -> None:
    city.answer("GET", f"{HOLDER}/journal", lambda _: httpx.Response(200, json=value))
    result = read(resident)
    assert result.code == 0
    assert "The hacienda did not show what it handed over" in result.err


def test_a_witness_of_another_legal_body_is_named(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    from consent.log import note

    seed = Ed25519Signer(bytes(range(1, 33)))
    witness = NoteKey("witness.example", note.COSIGNATURE_V1, seed.public)
    real = City._claims

    def with_witness() -> dict[str, Any]:
        claims = real(city)
        claims["parties"].append(city._entry("witness", ["witness"], {}, log_vkey=witness.format()))
        return claims

    city._claims = with_witness  # type: ignore[method-assign]
    city.version = 2

    def cosigned(request: httpx.Request) -> httpx.Response:
        signed = note.parse(permissions.forward(request).text)
        line = note.cosign(signed.text, witness.name, seed.public, seed, now=int(city.now))
        return httpx.Response(200, text=signed.with_signatures([line]).format())

    city.answer("GET", f"{CONSENT}/log/checkpoint", cosigned)
    result = read(resident)
    assert result.json["witnessed_by"] == [party("witness")]
    assert "also seen by: The witness" in result.err
