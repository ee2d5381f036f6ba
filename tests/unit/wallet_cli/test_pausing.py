"""`wallet consent pause|resume|amend|freeze`: what is sent, to whom, and what an answer must prove."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.act import verify_act
from identity.codec import base64url
from tests.unit.wallet_cli.city import CONSENT, HOLDER, City, body, party, problem
from tests.unit.wallet_cli.conftest import NOW, Wallet
from tests.unit.wallet_cli.consenting import DAY, HOUSEHOLD, INCOME, Permissions, down
from tests.unit.wallet_cli.issuing import IssuerScript
from wallet_cli.consents import withdraw
from wallet_cli.consents.freeze import parse_until
from wallet_cli.errors import UsageFault


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    city.answer("PATCH", f"{CONSENT}/*", made.forward)
    yield made
    made.close()


@pytest.fixture
def doors(city: City) -> list[str]:
    """What came to the data holder's door for acts."""
    came: list[str] = []

    def door(request: httpx.Request) -> httpx.Response:
        compact = request.content.decode()
        came.append(compact)
        act = verify_act(compact, consent=party("consent"))
        state = "paused" if act.deed.verb == "pause" else "given"
        return httpx.Response(200, json={"state": state, "act": act.number})

    city.answer("POST", f"{HOLDER}/acts", door)
    return came


@pytest.fixture
def resident(city: City, wallet: Wallet) -> Wallet:
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    return wallet


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdraw, "PAUSES_SECONDS", (0.0, 0.0))


def give(wallet: Wallet, permissions: Permissions) -> str:
    result = wallet.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0, result.err
    return str(result.json["grant_id"])


@pytest.fixture
def grant_id(resident: Wallet, permissions: Permissions) -> str:
    return give(resident, permissions)


def test_a_pause_holds_until_it_is_ended(
    resident: Wallet, permissions: Permissions, doors: list[str], grant_id: str
) -> None:
    result = resident.run("consent", "pause", grant_id[:8], "--json")
    assert result.code == 0, result.err
    assert result.json == {"grant_id": grant_id, "state": "paused", "doors": {"consent": "paused", "holder": "paused"}}
    assert "in pause. Nobody reads" in result.err
    assert not permissions.use(grant_id)
    again = resident.run("consent", "resume", grant_id, "--yes", "--json")
    assert again.json["state"] == "given"
    assert permissions.use(grant_id)
    assert [verify_act(one, consent=party("consent")).number for one in doors] == [1, 2]


def test_a_pause_needs_no_yes_and_a_resume_does(
    resident: Wallet, permissions: Permissions, doors: list[str], grant_id: str
) -> None:
    assert resident.run("consent", "pause", grant_id).code == 0
    refused = resident.run("consent", "resume", grant_id, "--json")
    assert (refused.code, refused.json["error"]) == (1, "declined")
    assert resident.run("consent", "resume", grant_id, typed="n\n").code == 1
    assert not permissions.use(grant_id)
    assert resident.run("consent", "resume", "--all", typed="y\n").code == 0
    assert permissions.use(grant_id)


def test_narrowing_is_shown_and_holds(
    resident: Wallet, permissions: Permissions, doors: list[str], grant_id: str
) -> None:
    result = resident.run("consent", "amend", grant_id, "--drop", HOUSEHOLD, "--days", "3", "--yes", "--json")
    assert result.code == 0, result.err
    assert "3 days" in result.err or "For how long" in result.err
    assert not permissions.use(grant_id, HOUSEHOLD)
    assert permissions.use(grant_id, INCOME)
    shown = resident.run("consent", "show", grant_id)
    assert shown.code == 0 and "household" not in shown.out, "what was taken back is not shown as given"
    again = resident.run("consent", "amend", grant_id, "--days", "3", "--yes", "--json")
    assert again.json["error"] == "not_narrower" and len(doors) == 1, "what changes nothing is no act"
    # What is narrow already is the start of the next narrowing.
    second = resident.run("consent", "amend", grant_id, "--max-uses", "2", "--yes", "--json")
    assert second.code == 0, second.err
    assert not permissions.use(grant_id, HOUSEHOLD)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--drop", INCOME), "cannot_drop"),
        (("--drop", "shoe.size"), "not_narrower"),
        (("--resolution", f"{INCOME}=raw"), "not_narrower"),
        ((), "usage"),
    ],
)
def test_what_is_no_narrowing(
    resident: Wallet, permissions: Permissions, doors: list[str], grant_id: str, arguments: tuple[str, ...], code: str
) -> None:
    result = resident.run("consent", "amend", grant_id, *arguments, "--yes", "--json")
    assert result.json["error"] == code
    assert not doors


def test_what_the_consent_service_calls_wider_is_not_signed(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    """Its words about the present state can only make less of what the wallet signed."""

    def wider(value: dict[str, Any]) -> None:
        value["not_after"] += 300 * DAY
        value["max_uses"] = 60_000

    city.answer("GET", f"{CONSENT}/me/grants/{grant_id}", permissions.twisted(wider))
    result = resident.run("consent", "amend", grant_id, "--drop", HOUSEHOLD, "--yes", "--json")
    assert result.code == 0, result.err
    (act,) = [verify_act(one, consent=party("consent")) for one in doors]
    assert act.deed.detail.max_uses == 10  # type: ignore[union-attr]
    assert act.deed.detail.not_after <= NOW + 90 * DAY + 60  # type: ignore[union-attr]


def test_a_pause_that_nobody_answered_is_sent_again(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    city.answer("PATCH", f"{CONSENT}/*", down)
    result = resident.run("consent", "pause", grant_id, "--json")
    assert (result.code, result.json["error"]) == (1, "act_unanswered")
    # The data holder has it all the same.
    assert len(doors) == 1
    city.answer("PATCH", f"{CONSENT}/*", permissions.forward)
    assert resident.run("consent", "list").code == 0
    assert not permissions.use(grant_id)


def test_a_resume_that_nobody_answered_waits_for_the_person(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    assert resident.run("consent", "pause", grant_id).code == 0
    city.answer("PATCH", f"{CONSENT}/*", down)
    assert resident.run("consent", "resume", grant_id, "--yes").code == 1
    # Open at the data holder only once it is open at the consent service.
    assert len(doors) == 1
    city.answer("PATCH", f"{CONSENT}/*", permissions.forward)
    assert resident.run("consent", "list").code == 0
    assert not permissions.use(grant_id)
    assert resident.run("consent", "resume", grant_id, "--yes").code == 0
    assert permissions.use(grant_id) and len(doors) == 2


def test_a_data_holder_without_such_a_door(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    city.answer("POST", f"{HOLDER}/acts", lambda _: problem(404, "not_found"))
    result = resident.run("consent", "pause", grant_id, "--json")
    assert result.json["doors"] == {"consent": "paused", "holder": "noted"}


def test_a_data_holder_that_is_down_is_told_later(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    city.answer("POST", f"{HOLDER}/acts", down)
    result = resident.run("consent", "pause", grant_id, "--json")
    assert result.code == 0
    assert result.json["doors"]["holder"] == "missing"
    assert "HAS NOT ANSWERED" in result.err
    came: list[str] = []

    def door(request: httpx.Request) -> httpx.Response:
        came.append(request.content.decode())
        return httpx.Response(200, json={"state": "paused", "act": 1})

    city.answer("POST", f"{HOLDER}/acts", door)
    assert resident.run("consent", "list").code == 0
    assert resident.run("consent", "list").code == 0
    assert len(came) == 1


def test_an_act_number_that_moved_on(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    """An answer that was lost: the consent service says which number it has."""

    def old(value: dict[str, Any]) -> None:
        value["grants"][0]["act"] = 0

    assert resident.run("consent", "pause", grant_id).code == 0
    city.answer("GET", f"{CONSENT}/me/grants", permissions.twisted(old))
    result = resident.run("consent", "resume", grant_id, "--yes", "--json")
    assert result.code == 0, result.err
    assert [verify_act(one, consent=party("consent")).number for one in doors] == [1, 2]


def test_a_number_that_is_refused_twice_ends_it(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    city.answer("PATCH", f"{CONSENT}/*", lambda _: httpx.Response(409, json={"error": "act_number", "act": 7}))
    result = resident.run("consent", "pause", grant_id, "--json")
    assert (result.code, result.json["error"]) == (1, "act_refused")
    assert not doors


@pytest.mark.parametrize(
    "change",
    [{"proof": "c2sp.org/tlog-proof@v1\n"}, {"proof": None}, {"state": "open"}, {"grant_id": "A" * 22}, {"counter": 9}],
    ids=["proof", "none", "state", "grant", "counter"],
)
def test_an_answer_that_proves_nothing(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, change: dict[str, Any]
) -> None:
    def lying(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=permissions.forward(request).json() | change)

    city.answer("PATCH", f"{CONSENT}/*", lying)
    result = resident.run("consent", "pause", grant_id, "--json")
    assert result.code == 1
    assert result.json["error"] in ("proof_refused", "bad_answer")


def test_the_proof_of_another_act(
    resident: Wallet, permissions: Permissions, city: City, doors: list[str], grant_id: str
) -> None:
    kept: list[dict[str, Any]] = []

    def keeping(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request)
        kept.append(answer.json())
        return httpx.Response(200, json={**answer.json(), "proof": kept[0]["proof"]})

    city.answer("PATCH", f"{CONSENT}/*", keeping)
    assert resident.run("consent", "pause", grant_id).code == 0
    result = resident.run("consent", "resume", grant_id, "--yes", "--json")
    assert result.json["error"] == "proof_refused"


# ── freeze ───────────────────────────────────────────────────────────────────────────────────


class Freezing:
    """``POST /me/freeze`` by hand, over the real consent service's grants."""

    def __init__(self, city: City, permissions: Permissions) -> None:
        self.city, self.permissions = city, permissions
        self.paused: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.more: dict[str, Any] = {}
        city.answer("POST", f"{CONSENT}/me/freeze", self._freeze)
        city.answer("GET", f"{CONSENT}/me/grants", self._grants)

    def _freeze(self, request: httpx.Request) -> httpx.Response:
        if "Request-Proof" not in request.headers:
            return problem(401, "invalid_proof")
        self.asked.append(body(request))
        return httpx.Response(200, json={"paused": self.paused, **self.more})

    def _grants(self, request: httpx.Request) -> httpx.Response:
        answer = self.permissions.forward(request)
        if answer.status_code != 200:
            return answer
        value = answer.json()
        for one in value["grants"]:
            one["state"] = "paused" if one["grant_id"] in self.paused else one["state"]
        return httpx.Response(200, json=value)


def test_a_freeze_is_one_act_and_says_what_it_did(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    other = give(resident, permissions)
    freezing = Freezing(city, permissions)
    freezing.paused = sorted([grant_id, other])
    result = resident.run("consent", "freeze", "--until", "12h", "--json")
    assert result.code == 0, result.err
    assert result.json == {"paused": freezing.paused, "until": NOW + 12 * 3_600}
    assert freezing.asked == [{"until": NOW + 12 * 3_600}]
    assert "2 permissions are in pause" in result.err and "They go on by themselves" in result.err
    assert "cannot be taken back" in result.err
    freezing.asked.clear()
    assert resident.run("consent", "freeze", "--json").json["until"] is None
    assert freezing.asked == [{"until": None}]


def test_a_grant_that_stays_open_is_named(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    other = give(resident, permissions)
    Freezing(city, permissions).paused = [grant_id]
    result = resident.run("consent", "freeze", "--json")
    assert (result.code, result.json["error"]) == (1, "freeze_incomplete")
    assert f"WARNING: permission {other} is still open" in result.err


def test_a_freeze_that_nobody_answers(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    city.answer("POST", f"{CONSENT}/me/freeze", down)
    result = resident.run("consent", "freeze", "--json")
    assert (result.code, result.json["error"]) == (1, "freeze_incomplete")
    assert "We do not know whether" in result.err


@pytest.mark.parametrize("answer", [{}, {"paused": 7}, {"paused": ["x", "x"]}, {"paused": [], "promises": "x"}])
def test_what_is_no_answer_to_a_freeze(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, answer: dict[str, Any]
) -> None:
    city.answer("POST", f"{CONSENT}/me/freeze", lambda _: httpx.Response(200, json=answer))
    result = resident.run("consent", "freeze", "--json")
    assert (result.code, result.json["error"]) == (1, "bad_answer")


@pytest.mark.parametrize("promised", ["x", "a.b.c"])
def test_a_promise_of_nobody(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, promised: str
) -> None:
    freezing = Freezing(city, permissions)
    freezing.paused, freezing.more = [grant_id], {"promises": [promised]}
    assert resident.run("consent", "freeze", "--json").json["error"] == "proof_refused"


def test_a_promise_about_something_else(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    from consent.ledger.leaf import Kind, Leaf
    from consent.ledger.promise import sign_promise
    from consent.log.note import ED25519, NoteKey
    from identity.keys.ed25519 import Ed25519Signer
    from tests.unit.wallet_cli.city import LOG_ORIGIN, LOG_SEED

    signer = Ed25519Signer(LOG_SEED)
    leaf = Leaf(Kind.PAUSE, 0, base64url.decode(grant_id), 2, 1, 1, 0, 0, 0, 0, bytes(32))
    key = NoteKey(LOG_ORIGIN, ED25519, signer.public)
    freezing = Freezing(city, permissions)
    freezing.paused = [grant_id]
    freezing.more = {"promises": [sign_promise(leaf, due=NOW + 60, key=key, signer=signer)]}
    assert resident.run("consent", "freeze", "--json").code == 0
    freezing.more = {"promises": [sign_promise(replace(leaf, kind=Kind.RESUME), due=NOW + 60, key=key, signer=signer)]}
    assert resident.run("consent", "freeze", "--json").json["error"] == "proof_refused"


def test_nothing_was_lent(resident: Wallet, permissions: Permissions) -> None:
    assert resident.run("consent", "freeze", "--json").json["error"] == "unknown_id"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5_400), ("12h", 43_200), ("3d", 3 * DAY), ("2026-11-22T12:36:50+00:00", 10_000)]
)
def test_until_when(text: str, seconds: int) -> None:
    now = 1_795_341_010
    expected = now + seconds if text[-1] in "mhd" else 1_795_351_010
    assert parse_until(text, now=now) == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "0h", "3w", "-3h", "400d", "2020-01-01", "99999d", "3", "3h "])
def test_no_time(text: str) -> None:
    with pytest.raises(UsageFault):
        parse_until(text, now=NOW)
