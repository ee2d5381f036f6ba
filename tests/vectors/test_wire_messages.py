"""Known answers for the signed messages: C1 to C5, C8, C10, C13, and what must be refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from consent.caller.proof import verify_proof
from consent.errors import ConsentError, MessageError, ProofNonceNeeded
from consent.grant.account import account_nonce
from consent.grant.act import verify_act
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import VerifiedGrant, verify_grant
from consent.grant.locator import open_locator
from consent.grant.narrowing import Resolutions
from consent.grant.request import verify_request
from consent.grant.use import (
    Allow,
    VerifiedUseRequest,
    open_data_answer,
    open_subject,
    verify_use_answer,
    verify_use_request,
)
from consent.grant.withdrawal import verify_withdrawal
from consent.holder.allow import ProvenAllow, prove_allow
from consent.holder.link import link_nonce, open_link
from consent.procedure.declaration import verify_data_declaration, verify_purpose_declaration
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

WIRE = Path(__file__).parent / "wire"


def load(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text())


KEYS = load("keys")
PARTIES: dict[str, str] = KEYS["parties"]
PROOF, GRANT, USE, WITHDRAWAL, ACTS, LISTS, LOG = map(
    load, ("proof", "grant", "use", "withdrawal", "acts", "lists", "log")
)
NONCES = {case["message"]: case for case in load("nonces")["cases"]}


def public(name: str) -> PublicKey:
    return SoftwareSigner.from_jwk(KEYS["keys"][name]["jwk"]).public_key


def agreement(name: str) -> AgreementPrivateKey:
    return AgreementPrivateKey.from_jwk(KEYS["keys"][name]["jwk"])


def key_of(party: str) -> PublicKey:
    names = {party_id: name for name, party_id in PARTIES.items()}
    if party not in names:
        raise MessageError("party: not listed")
    return public(names[party])


def resolutions(_: AuthorizationDetail) -> Resolutions:
    return {name: tuple(values) for name, values in GRANT["resolutions"].items()}


# C1


def caller(case: dict[str, Any], *, with_jwk: bool = False) -> None:
    account = public("account")
    spent: set[tuple[str, str]] = set()

    def spend(thumbprint: str, jti: str) -> bool:
        fresh = (thumbprint, jti) not in spent
        spent.add((thumbprint, jti))
        return fresh

    verify_proof(
        case["proof"],
        method=case.get("method", PROOF["method"]),
        url=PROOF["url"],
        body=case.get("body", PROOF["body"]).encode(),
        now=PROOF["now"],
        accepts_nonce=lambda nonce: nonce == PROOF["nonce"],
        spend=spend,
        key_for=None if with_jwk else {account.thumbprint: account}.get,
    )


@pytest.mark.parametrize("case", PROOF["accepted"], ids=lambda case: case["name"])
def test_caller_proof(case: dict[str, Any]) -> None:
    caller(case, with_jwk="jwk" in case["name"])
    with pytest.raises(MessageError):
        caller(case, with_jwk="jwk" not in case["name"])


@pytest.mark.parametrize("case", PROOF["refused"], ids=lambda case: case["fault"])
def test_caller_proof_refused(case: dict[str, Any]) -> None:
    expected = ProofNonceNeeded if case["fault"] in ("no nonce", "another nonce") else MessageError
    for with_jwk in (False, True):
        with pytest.raises(expected if not with_jwk else MessageError):
            caller(case, with_jwk=with_jwk)


# C2, C3


def grant(compact: str) -> VerifiedGrant:
    return verify_grant(
        compact, key_of=key_of, consent=GRANT["consent"], resolutions=resolutions, fresh_at=GRANT["now"]
    )


def test_request() -> None:
    verified = verify_request(GRANT["request"]["jws"], key_of=key_of, consent=GRANT["consent"], now=GRANT["now"])
    assert verified.digest == GRANT["request"]["hash"]
    assert verified.request.claims() == GRANT["request"]["payload"]


def test_grant() -> None:
    verified = grant(GRANT["grant"]["jws"])
    assert (verified.digest, verified.id) == (GRANT["grant"]["hash"], GRANT["grant"]["id"])
    assert verified.key.thumbprint == GRANT["grant"]["jwk_thumbprint"]
    assert [verified.detail.to_json()] == GRANT["grant"]["payload"]["authorization_details"]
    assert verified.service == GRANT["service"]


@pytest.mark.parametrize("case", GRANT["refused"], ids=lambda case: case["fault"])
def test_grant_refused(case: dict[str, str]) -> None:
    with pytest.raises(MessageError):
        grant(case["grant"])


def open_case(locator: str, compact: str) -> str:
    keys = {link: PublicKey.from_jwk(jwk) for link, jwk in GRANT["locator"]["link_keys"].items()}
    holder = agreement("holder-hpke")
    return open_locator(holder, locator, holder=GRANT["holder"], grant=compact, link_key=keys.get).link


def test_locator() -> None:
    assert open_case(GRANT["locator"]["sealed"], GRANT["grant"]["jws"]) == GRANT["locator"]["opened"]["link"]


@pytest.mark.parametrize("case", GRANT["refused_locators"], ids=lambda case: case["fault"])
def test_locator_refused(case: dict[str, str]) -> None:
    with pytest.raises(MessageError):
        open_case(case["locator"], case["grant"])


# C4


def use_request() -> VerifiedUseRequest:
    return verify_use_request(USE["use_request"]["jws"], key_of=key_of, holder=PARTIES["holder"], now=USE["now"])


def answer(compact: str) -> ProvenAllow:
    request = use_request()
    allow = verify_use_answer(
        compact, consent_key=public("consent"), consent=PARTIES["consent"], request=request, now=USE["now"]
    )
    assert isinstance(allow, Allow)
    keys = {link: PublicKey.from_jwk(jwk) for link, jwk in GRANT["locator"]["link_keys"].items()}
    return prove_allow(
        allow,
        request=request,
        hpke_keys=[agreement("holder-hpke")],
        link_key=keys.get,
        key_of=key_of,
        resolutions=resolutions,
        numbers=lambda service, purpose: (1, 2),
        log_vkey=LOG["vkey"],
        quorum=lambda _: None,
    )


def test_use_request() -> None:
    verified = use_request()
    assert verified.digest == USE["use_request"]["hash"]
    assert verified.request.claims() == USE["use_request"]["payload"]
    assert open_subject(agreement("holder-hpke"), verified.request) == USE["use_request"]["subject_opened"]


def test_use_answer() -> None:
    proven = answer(USE["answer"]["jws"])
    assert proven.allow.claims() == USE["answer"]["payload"]
    assert (proven.link, proven.logged.index) == (GRANT["locator"]["opened"]["link"], 3)


@pytest.mark.parametrize("case", USE["refused"], ids=lambda case: case["fault"])
def test_use_answer_refused(case: dict[str, str]) -> None:
    with pytest.raises(ConsentError):
        answer(case["answer"])


def test_data_answer() -> None:
    request = use_request()
    opened = open_data_answer(
        agreement("reply"),
        USE["data"]["sealed"],
        holder_key=public("holder"),
        holder=PARTIES["holder"],
        use_id=USE["data"]["payload"]["use_id"],
        request=request.request,
        request_hash=request.digest,
    )
    assert opened.claims() == USE["data"]["payload"]


# C5


@pytest.mark.parametrize("name", ["whole", "attribute"])
def test_withdrawal(name: str) -> None:
    verified = verify_withdrawal(WITHDRAWAL[name]["jws"])
    expected = WITHDRAWAL[name]["payload"]["attributes"]
    assert verified.attributes == (None if expected is None else tuple(expected))
    assert verified.grant_id == WITHDRAWAL["grant_id"]
    assert verified.key.thumbprint == WITHDRAWAL["grant_thumbprint"]


@pytest.mark.parametrize("case", WITHDRAWAL["no_effect"], ids=lambda case: case["fault"])
def test_withdrawal_of_another_key(case: dict[str, str]) -> None:
    assert verify_withdrawal(case["jws"]).key.thumbprint != WITHDRAWAL["grant_thumbprint"]


@pytest.mark.parametrize("case", WITHDRAWAL["refused"], ids=lambda case: case["fault"])
def test_withdrawal_refused(case: dict[str, str]) -> None:
    with pytest.raises(MessageError):
        verify_withdrawal(case["jws"])


@pytest.mark.parametrize("case", ACTS["acts"], ids=lambda case: case["payload"]["do"]["verb"])
def test_act(case: dict[str, Any]) -> None:
    verified = verify_act(case["jws"], consent=PARTIES["consent"])
    assert (verified.number, verified.deed.verb) == (case["payload"]["act"], case["payload"]["do"]["verb"])
    assert verified.key.thumbprint == GRANT["grant"]["jwk_thumbprint"]
    with pytest.raises(MessageError, match="another consent service"):
        verify_act(case["jws"], consent="urn:atorga:party:other")


# C8, C10, C13


def test_link_nonce() -> None:
    case = NONCES["C8"]
    assert link_nonce(case["holder"], case["link_thumbprint"], case["mailbox"]) == case["nonce"]


def test_link() -> None:
    case = next(case for case in load("hpke")["cases"] if case["name"] == "link (C8)")
    opened = open_link(agreement("holder-hpke"), {"sealed": case["sealed"]}, holder=PARTIES["holder"])
    expected = json.loads(case["plaintext"])
    assert (opened.link_key.jwk(), opened.mailbox) == (expected["link_jwk"], expected["mailbox"])
    with pytest.raises(MessageError):
        open_link(agreement("holder-hpke"), {"sealed": case["sealed"]}, holder="urn:atorga:party:other")


def test_account_nonce() -> None:
    case = NONCES["C10"]
    assert account_nonce(case["consent"], case["jkt"], base64url.decode(case["random"])) == case["nonce"]


def test_declarations() -> None:
    purpose, _ = verify_purpose_declaration(LISTS["purpose_declaration"], key_of)
    assert purpose.claims() == jws.parse(LISTS["purpose_declaration"]).claims()
    assert purpose.identifier == "rent-subsidy@1"
    data, _ = verify_data_declaration(LISTS["data_declaration"], key_of)
    assert data.claims() == jws.parse(LISTS["data_declaration"]).claims()
    assert data.resolutions == resolutions(grant(GRANT["grant"]["jws"]).detail)
    for compact in (LISTS["purpose_declaration"], LISTS["data_declaration"]):
        with pytest.raises(MessageError):
            verify_purpose_declaration(compact[:-2] + "AA", key_of)
    with pytest.raises(MessageError):
        verify_data_declaration(LISTS["purpose_declaration"], key_of)
