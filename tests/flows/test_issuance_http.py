"""Issuance between real processes: issuer, keyed hashes and the card authority's responder, with the wallet command.

The card is a real PKCS#12 file of the sandbox's card authority, checked to its end; the register is
the padrón of 10,000.
"""

import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from atorga.town import configuration
from atorga.town.population import demo_facts
from atorga.town.processes import Service
from atorga.town.town import Town
from identity.card import web_eid
from identity.codec import base64url
from identity.envelope import jws
from identity.formats.sd_jwt_vc.verify import verify_issuer_signed
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.openid4vci.spec import PRE_AUTHORIZED
from identity.status.token import verify_status_list
from identity.trust.chain import anchors_from_pem, read_x5c, verify_chain
from tests.flows.city import free_port_base

PERSON, RESIDENCY, PAIRWISE = "person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt"
VERIFIER = "v" * 43
CHALLENGE = base64url.encode(sha256(VERIFIER.encode()).digest())


@dataclass
class Issuer:
    town: Town
    folder: Path

    @property
    def url(self) -> str:
        return self.town.folder.issuer

    def admin(self, path: str, body: Any) -> httpx.Response:
        token = self.town.folder.admin_token()
        return httpx.post(f"{self.url}/admin/{path}", json=body, headers={"Authorization": f"Bearer {token}"})

    def offer(self, *configurations: str, **more: Any) -> dict[str, str]:
        body = {"configurations": list(configurations), "grant": "pre-authorized_code", "tx_code": False,
                "by": "value"} | more  # fmt: skip
        answer = self.admin("offers", body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wallet(self, *arguments: str, expect: int = 0) -> Any:
        store, passphrase = self.folder / "wallet", self.folder / "passphrase"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WALLET")}
        ran = subprocess.run(
            [sys.executable, "-m", "wallet_cli", "--store", str(store), "--json", "--yes", *arguments],
            env=environment | {"WALLET_PASSPHRASE_FILE": str(passphrase), "LANG": "en_GB.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == expect, ran.stderr + ran.stdout
        last = ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else "{}"
        return json.loads(last) if last.startswith("{") else last

    @property
    def card(self) -> tuple[str, ...]:
        folder = self.town.folder
        return ("--card", str(folder.card_file), "--pin-file", str(folder.card_pin_file))


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    folder = tmp_path_factory.mktemp("issuance")
    town = Town(folder / "city", port_base=free_port_base(), restart=False)
    try:
        town.processes.start(configuration.hash_keepers(town.folder))
        town.processes.start([serve(town, "issuer"), serve(town, "ocsp")])
        (folder / "passphrase").write_text("una frase larga\n")
        made = Issuer(town, folder)
        made.wallet("init", "--sandbox")
        made.wallet("trust", "add", f"{town.folder.url('issuer')}/trust.pem")
        yield made
    finally:
        town.stop()


def serve(town: Town, name: str) -> Service:
    folder = town.folder
    command = (sys.executable, "-m", "atorga", "serve", name, "--config", str(folder.config(name)),
               "--profile", "sandbox", "--with-parent")  # fmt: skip
    return Service(name, folder.port(name), command, folder.log(name))


def shown(issuer: Issuer, credential: str) -> Any:
    return issuer.wallet("show", credential)["claims"]


def test_counter_with_transaction_code(issuer: Issuer) -> None:
    offer = issuer.offer(PERSON, RESIDENCY, PAIRWISE, tx_code=True)
    wrong = f"{int(offer['tx_code']) ^ 1:06d}"
    failed = issuer.wallet("offer", "accept", offer["credential_offer"], "--tx-code", wrong, expect=1)
    assert failed["error"] == "invalid_grant"
    got = issuer.wallet("offer", "accept", offer["credential_offer"], "--tx-code", offer["tx_code"])
    assert len(got["credentials"]) == 3
    listed = {one["type"]: one for one in issuer.wallet("list")["credentials"]}
    assert {one["copies"] for one in listed.values()} == {10}
    facts = demo_facts(issuer.town.folder)
    person = shown(issuer, listed["urn:atorga:person-id:1"]["id"])
    assert person["given_name"] == facts["given name"] and person["birthdate"] == facts["birth date"]
    residency = shown(issuer, listed["urn:atorga:residency:1"]["id"])
    assert residency["municipality"] == "Barcelona" and facts["given name"] not in str(residency)
    ids = shown(issuer, listed["urn:atorga:pairwise:1"]["id"])["ids"]
    organisations = {"consent", "hacienda", "social-services", "portal", "verifier"}
    assert ids.keys() == {f"urn:atorga:party:{name}" for name in organisations}
    assert all(re.fullmatch(r"a[a-z2-7]{52}", value) for value in ids.values())
    again = issuer.wallet("offer", "accept", offer["credential_offer"], "--tx-code", offer["tx_code"], expect=1)
    assert again["error"] == "invalid_grant"


def test_card_by_reference(issuer: Issuer) -> None:
    offer = issuer.offer(PERSON, PAIRWISE, grant="authorization_code", by="reference")
    assert "tx_code" not in offer
    got = issuer.wallet("offer", "accept", offer["credential_offer"], *issuer.card)["credentials"]
    listed = {one["id"]: one["type"] for one in issuer.wallet("list")["credentials"]}
    assert [listed[one] for one in got] == ["urn:atorga:person-id:1", "urn:atorga:pairwise:1"]


def push(issuer: Issuer, **changes: str) -> str:
    fields = {
        "client_id": "foreign", "response_type": "code", "redirect_uri": "https://wallet.example/cb", "state": "s",
        "scope": PERSON, "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    } | changes  # fmt: skip
    answer = httpx.post(f"{issuer.url}/par", data=fields)
    assert answer.status_code == 201, answer.text
    return f"{issuer.url}/authorize?client_id=foreign&request_uri={answer.json()['request_uri']}"


def redeem(issuer: Issuer, where: str) -> httpx.Response:
    query = parse_qs(urlsplit(where).query)
    assert query["state"] == ["s"] and query["iss"] == [issuer.url]
    fields = {"grant_type": "authorization_code", "code": query["code"][0], "code_verifier": VERIFIER,
              "client_id": "foreign", "redirect_uri": "https://wallet.example/cb"}  # fmt: skip
    return httpx.post(f"{issuer.url}/token", data=fields)


def test_card_serves_another_wallets_flow(issuer: Issuer) -> None:
    address = push(issuer)
    page = httpx.get(address, headers={"Accept": "text/html"})
    command = re.search(r"wallet card login '([^']+)'", page.text)
    assert command is not None
    where = issuer.wallet("card", "login", html.unescape(command[1]), *issuer.card)
    assert str(where).startswith("https://wallet.example/cb?code=")
    assert redeem(issuer, str(where)).status_code == 200


def answer_with(issuer: Issuer, address: str, card: Path, pin: str, **changes: str) -> httpx.Response:
    """A card program that is not ours: it signs with whatever key it is given."""
    key, certificate, _ = pkcs12.load_key_and_certificates(card.read_bytes(), pin.encode())
    assert certificate is not None
    with httpx.Client() as browser:
        session = browser.get(address, headers={"Accept": "application/json"}).json()
        challenge = browser.post(session["challenge"], json={"session": session["session"]}).json()
        signed = {"origin": issuer.town.folder.url("issuer"), "nonce": challenge["nonce"]} | changes
        token = web_eid.sign_token(**signed, certificate=certificate, private_key=key)
        return browser.post(session["login"], json={"session": session["session"], "token": token})


def test_cards_that_are_refused(issuer: Issuer) -> None:
    folder = issuer.town.folder
    pin = folder.card_pin_file.read_text().strip()
    login, firma = folder.card_file, folder.card_file.with_name(f"{folder.card_file.stem}-firma.p12")
    address = push(issuer)
    for card, changes in (
        (firma, {}),
        (login, {"origin": "http://localhost:1"}),
        (login, {"nonce": "A" * 43 + "="}),
    ):
        refused = answer_with(issuer, address, card, pin, **changes)
        assert refused.status_code == 403 and refused.json()["error"] == "access_denied", refused.text
    assert answer_with(issuer, address, login, pin).status_code == 200


def test_responder_that_is_silent_refuses_and_decides_nothing(issuer: Issuer) -> None:
    folder = issuer.town.folder
    pin = folder.card_pin_file.read_text().strip()
    address = push(issuer)
    issuer.town.processes.stop("ocsp")
    try:
        refused = answer_with(issuer, address, folder.card_file, pin)
        assert refused.status_code == 503 and refused.json()["error"] == "temporarily_unavailable"
    finally:
        issuer.town.processes.again("ocsp")
    assert answer_with(issuer, address, folder.card_file, pin).status_code == 200


def credentials(issuer: Issuer, configuration: str, **more: Any) -> list[str]:
    """By a client of ten lines, as somebody else would write it."""
    link = issuer.offer(configuration, **more)["credential_offer"]
    offer = json.loads(parse_qs(urlsplit(link).query)["credential_offer"][0])
    code = offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    tokens = httpx.post(f"{issuer.url}/token", data={"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code}).json()
    nonce = httpx.post(f"{issuer.url}/nonce").json()["c_nonce"]
    return ask(issuer, tokens["access_token"], configuration, nonce)


def ask(issuer: Issuer, token: str, configuration: str, nonce: str) -> list[str]:
    proofs = []
    for _ in range(3):
        key = SoftwareSigner.generate()
        claims = {"aud": issuer.url, "iat": int(time.time()), "nonce": nonce}
        proofs.append(jws.sign(claims, key, typ="openid4vci-proof+jwt", header={"jwk": key.public_key.jwk()}))
    answer = httpx.post(
        f"{issuer.url}/credential",
        json={"credential_configuration_id": configuration, "proofs": {"jwt": proofs}},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text
    return [one["credential"] for one in answer.json()["credentials"]]


def chain_key(issuer: Issuer, header: Any) -> PublicKey:
    roots = httpx.get(f"{issuer.town.folder.url('issuer')}/trust.pem").content
    verified = verify_chain(read_x5c(header), anchors_from_pem(roots), at=int(time.time()))
    assert verified.uris == (issuer.url,)
    return verified.key


def test_revocation_is_served_when_it_is_answered(issuer: Issuer) -> None:
    copies = [
        verify_issuer_signed(body, issuer_key=lambda header, iss, vct: chain_key(issuer, header), now=int(time.time()))
        for body in credentials(issuer, RESIDENCY, subject=17)
    ]
    places = [copy.status for copy in copies if copy.status]
    assert len(places) == 3
    uri, index = places[0]

    def values() -> list[int]:
        token = httpx.get(uri).text
        listed = verify_status_list(
            token, uri=uri, key_for=lambda header, address: chain_key(issuer, header), now=int(time.time())
        )
        return [listed.get(place[1]) for place in places]

    assert values() == [0, 0, 0]
    done = issuer.admin("revocations", {"status": {"uri": uri, "idx": index}})
    assert done.status_code == 200 and done.json().keys() == {"credential_id", "copies"}
    assert done.json()["copies"] == 3 and values() == [1, 1, 1]
    again = issuer.admin("revocations", {"credential_id": done.json()["credential_id"]})
    assert again.json() == done.json()


def test_admin_helpers_need_their_token(issuer: Issuer) -> None:
    for token in ("wrong", "eyJ", issuer.town.folder.admin_token() + "x"):
        answer = httpx.post(
            f"{issuer.url}/admin/offers",
            json={"configurations": [PERSON]},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 401


def test_kill_9_in_the_middle_loses_nothing_acknowledged(issuer: Issuer) -> None:
    where = str(issuer.wallet("card", "login", push(issuer), *issuer.card))
    issuer.town.processes.kill("issuer")
    issuer.town.processes.again("issuer")
    tokens = redeem(issuer, where)
    assert tokens.status_code == 200, "the code that was given is good"
    issuer.town.processes.kill("issuer")
    issuer.town.processes.again("issuer")
    nonce = httpx.post(f"{issuer.url}/nonce").json()["c_nonce"]
    assert len(ask(issuer, tokens.json()["access_token"], PERSON, nonce)) == 3
    assert redeem(issuer, where).json()["error"] == "invalid_grant", "and good once"


def test_nothing_of_the_resident_is_at_the_issuer(issuer: Issuer) -> None:
    facts = demo_facts(issuer.town.folder)
    places = [issuer.town.folder.state("issuer"), issuer.town.folder.log("issuer").parent]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert any(path.name == "bcn.sqlite" for path in files)
    for path in files:
        content = path.read_bytes()
        for what, value in facts.items():
            if what != "income":
                for spelling in (value.encode(), value.encode().hex().encode(), value.encode("utf-16-le")):
                    assert spelling not in content, f"{what} in {path.name}"
