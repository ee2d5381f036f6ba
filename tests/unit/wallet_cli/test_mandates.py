"""`wallet mandate`: acting for somebody else, marked as such; who acts for oneself; the end by one act."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.account import account_nonce
from consent.grant.mandate import read_mandate
from identity.codec import base64url
from identity.openid4vp import client_metadata, dcql
from identity.openid4vp import request as openid4vp
from identity.openid4vp.check import check_presentation
from identity.trust.issuers import IssuerTrust
from tests.unit.wallet_cli.city import CONSENT, MANDATE, City, body, party, problem
from tests.unit.wallet_cli.conftest import NOW, Result, Wallet
from tests.unit.wallet_cli.issuing import REPRESENTED, IssuerScript

GRANT = "A" * 22
CLAIMS = ("role", "verbs", "purposes", "until")


@dataclass
class Office:
    """The consent service's side of mandates, by hand."""

    city: City
    registered: dict[str, Any] = field(default_factory=dict)
    """What it says of the mandate, where that is not what the mandate says."""
    query: dict[str, Any] = field(default_factory=dict)
    """Members of the query that are not what they should be."""
    response_uri: str = f"{CONSENT}/me/mandates"
    wrong_nonce: bool = False
    nonce: str = ""
    presented: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    came: list[tuple[str, str]] = field(default_factory=list)
    mandate_id: str = field(default_factory=lambda: base64url.encode(secrets.token_bytes(16)))

    def __post_init__(self) -> None:
        at = self.city.answer
        at("GET", f"{CONSENT}/me/account/request", self._request)
        at("POST", f"{CONSENT}/me/mandates", self._register)
        at("DELETE", f"{CONSENT}/me/mandates/*", self._end)
        at("GET", f"{CONSENT}/me/grants", self._grants)
        at("POST", f"{CONSENT}/me/grants/{GRANT}/withdrawal", self._withdraw)
        at("POST", f"{CONSENT}/me/freeze", self._freeze)

    def asked(self) -> dict[str, Any]:
        claims = [*({"path": [name]} for name in CLAIMS), {"path": ["ids", party("consent")]}]
        one = {"id": "mandate", "format": "dc+sd-jwt", "meta": {"vct_values": [MANDATE]}, "claims": claims}
        return {"credentials": [{**one, **self.query}]}

    def _request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.params["mandate"] == "1"
        signing, random = self.city.pki.access_certificate("consent"), secrets.token_bytes(32)
        self.nonce = account_nonce(party("consent"), request.url.params["jkt"], random)
        claims = openid4vp.make_claims(
            client_id=f"x509_hash:{signing.x5t}",
            response_uri=self.response_uri,
            response_mode="direct_post",
            nonce=base64url.encode(bytes(32)) if self.wrong_nonce else self.nonce,
            state=None,
            query=dcql.parse(self.asked()),
            metadata=client_metadata.make(),
            iat=NOW,
            exp=NOW + 600,
        )
        signed = openid4vp.sign_request(claims, signing.signer(), x5c=signing.chain())
        return httpx.Response(200, json={"request": signed, "random": base64url.encode(random)})

    def _register(self, request: httpx.Request) -> httpx.Response:
        trust = IssuerTrust(self.city.registry, [self.city.pki.root("issuers").chain()[0]], lambda: self.city.now)
        found = check_presentation(
            body(request)["vp_token"],
            dcql.parse(self.asked()),
            issuer_key=trust.issuer_key,
            status_check=None,
            client_id=f"x509_hash:{self.city.pki.access_certificate('consent').x5t}",
            nonce=self.nonce,
            now=NOW,
        )
        claims = dict(found.claims["mandate"][0])
        self.presented.append(claims)
        mandate = read_mandate({name: claims[name] for name in CLAIMS}, now=NOW)
        return httpx.Response(201, json={"mandate_id": self.mandate_id, **mandate.to_json(), **self.registered})

    def _end(self, request: httpx.Request) -> httpx.Response:
        self._came(request)
        return httpx.Response(200, json={"mandate_id": self.mandate_id, "state": "ended"})

    def _grants(self, request: httpx.Request) -> httpx.Response:
        self._came(request)
        entry = {"grant_id": GRANT, "state": "given", "counter": 2, "act": 0}
        return httpx.Response(200, json={"grants": [entry]})

    def _withdraw(self, request: httpx.Request) -> httpx.Response:
        self._came(request)
        return httpx.Response(403, json={"error": "mandate"})

    def _freeze(self, request: httpx.Request) -> httpx.Response:
        self._came(request)
        return httpx.Response(200, json={"paused": [GRANT]})

    def _came(self, request: httpx.Request) -> None:
        from identity.envelope import jws

        self.came.append((request.method, request.url.path))
        self.keys.append(str(jws.parse(request.headers["Request-Proof"]).header["kid"]))


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def office(city: City) -> Office:
    return Office(city)


@pytest.fixture
def helper(city: City, wallet: Wallet) -> Wallet:
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("mandate-sd-jwt")).code == 0
    return wallet


def accept(wallet: Wallet) -> str:
    result = wallet.run("mandate", "accept", "--yes", "--json")
    assert result.code == 0, result.err
    return str(result.json["mandate_id"])


def refused(result: Result, code: str) -> None:
    assert (result.code, result.json["error"]) == (1, code), result.err


def test_a_mandate_is_shown_before_it_is_used(helper: Wallet, office: Office) -> None:
    refused(helper.run("mandate", "accept", "--json"), "declined")
    assert not office.presented
    result = helper.run("mandate", "accept", "--yes", "--json")
    assert result.code == 0, result.err
    assert "as helper" in result.err and "take permissions back" in result.err and "for everything" in result.err
    (claims,) = office.presented
    assert claims["ids"] == {party("consent"): REPRESENTED}
    listed = helper.run("mandate", "list", "--json").json
    assert [one["mandate_id"] for one in listed["acting"]] == [office.mandate_id] and listed["given"] == []
    for path in sorted(one for one in helper.folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        assert REPRESENTED.encode() not in content and office.mandate_id.encode() not in content


def test_whatever_is_done_says_for_whom(helper: Wallet, office: Office) -> None:
    mandate = accept(helper)
    frozen = helper.run("mandate", "freeze", mandate[:5], "--until", "12h", "--json")
    assert frozen.code == 0, frozen.err
    assert frozen.json == {"paused": [GRANT], "until": NOW + 43_200, "mandate_id": mandate}
    assert "FOR SOMEBODY ELSE" in frozen.err
    assert "for SOMEBODY ELSE" in helper.run("history").out
    # Not as oneself: by the mandate's own key, and the wallet has no account of its own.
    assert len(set(office.keys)) == 1


def test_what_the_mandate_does_not_allow(helper: Wallet, office: Office, city: City) -> None:
    mandate = accept(helper)

    def described(_: httpx.Request) -> httpx.Response:
        return problem(403, "mandate")

    city.answer("GET", f"{CONSENT}/me/grants/{GRANT}", described)
    result = helper.run("mandate", "withdraw", mandate, GRANT, "--json")
    refused(result, "mandate")
    assert "FOR SOMEBODY ELSE" in result.err and "The mandate does not allow this" in result.err
    refused(helper.run("mandate", "withdraw", mandate, "B", "--json"), "unknown_id")


def test_it_ends_by_one_act(helper: Wallet, office: Office) -> None:
    mandate = accept(helper)
    assert helper.run("mandate", "end", mandate, "--json").json == {"mandate_id": mandate, "state": "ended"}
    assert ("DELETE", f"/me/mandates/{mandate}") in office.came
    refused(helper.run("mandate", "freeze", mandate, "--json"), "unknown_id")


def test_it_ends_on_its_day(helper: Wallet, office: Office, city: City) -> None:
    mandate = accept(helper)
    helper.now = city.now = NOW + 91 * 86_400
    # The city's list lives as long as its clock says.
    city.version = 2
    result = helper.run("mandate", "freeze", mandate, "--json")
    assert result.code == 1 and result.json["error"] in ("mandate_over", "unknown_party")


def test_without_a_mandate_nothing_is_sent(city: City, wallet: Wallet, office: Office) -> None:
    city.trusted_by(wallet)
    refused(wallet.run("mandate", "accept", "--yes", "--json"), "no_matching_credential")
    assert not office.presented


@pytest.mark.parametrize(
    ("twist", "code"),
    [
        ({"wrong_nonce": True}, "request_invalid"),
        ({"response_uri": f"{CONSENT}/me/account"}, "request_invalid"),
        ({"query": {"claims": [{"path": ["ids", party("portal")]}]}}, "more_than_needed"),
        ({"query": {"meta": {"vct_values": ["urn:atorga:person-id:1"]}}}, "more_than_needed"),
        ({"registered": {"verbs": ["read", "withdraw", "pause", "oppose"]}}, "bad_answer"),
        ({"registered": {"until": NOW + 300 * 86_400}}, "bad_answer"),
        ({"registered": {"role": "king"}}, "bad_answer"),
        ({"registered": {"purposes": ["https://w3id.org/dpv#PublicBenefit"]}}, "bad_answer"),
    ],
    ids=["nonce", "address", "other-number", "other-type", "verbs", "until", "role", "purposes"],
)
def test_what_is_refused(helper: Wallet, office: Office, twist: dict[str, Any], code: str) -> None:
    for name, value in twist.items():
        setattr(office, name, value)
    refused(helper.run("mandate", "accept", "--yes", "--json"), code)
    assert helper.run("mandate", "list", "--json").json["acting"] == []
