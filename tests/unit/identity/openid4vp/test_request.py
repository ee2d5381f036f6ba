"""A request as a wallet reads it: every refusal, and to whom it may be told."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from identity.codec import base64url, strict_json
from identity.did import did_jwk, did_key
from identity.envelope import jws
from identity.errors import AuthorizationRequestRefused, ProtocolError, TrustError
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import client_metadata, dcql, link, stated_purpose
from identity.openid4vp.request import (
    VerifiedAuthorizationRequest,
    link_by_value,
    make_claims,
    read_parameters,
    read_request,
    sign_request,
)
from identity.openid4vp.stated_purpose import StatedPurpose
from identity.openid4vp.transaction_data import format as format_transaction
from identity.trust.chain import certificate_hash, format_x5c
from tests.unit.identity.trust.conftest import NOW, Certified, City

CITY = City()
REGISTRY = CITY.verified(CITY.verifier_entry())
KEY = SoftwareSigner.generate()
HOST = "https://portal.example"
HASH_ID = f"x509_hash:{CITY.verifier.x5t}"
QUERY = dcql.parse(
    {
        "credentials": [
            {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:x"]}, "claims": [{"path": ["a"]}]}
        ]
    }
)


def claims(**change: Any) -> dict[str, Any]:
    made = make_claims(
        client_id=HASH_ID,
        response_uri=f"{HOST}/responses/1",
        response_mode="direct_post.jwt",
        nonce="n-1",
        state="s-1",
        query=QUERY,
        metadata=client_metadata.make((KEY.public_key, "k1")),
        iat=NOW,
        exp=NOW + 600,
    )
    made |= change
    return {name: value for name, value in made.items() if value is not ...}


def signed(by: Certified = CITY.verifier, typ: str | None = None, **change: Any) -> str:
    if typ is not None:
        return jws.sign(claims(**change), by.signer, typ=typ, header={"x5c": format_x5c(CITY.chain(by))})
    return sign_request(claims(**change), by.signer, x5c=CITY.chain(by))


def read(compact: str | None = None, **change: Any) -> VerifiedAuthorizationRequest:
    arguments: dict[str, Any] = {
        "client_id": HASH_ID,
        "profile": "haip",
        "anchors": [CITY.root.der],
        "registry": REGISTRY,
        "now": NOW,
        **change,
    }
    return read_request(compact or signed(), **arguments)


def test_read() -> None:
    request = read()
    assert (request.client_id, request.nonce, request.state) == (HASH_ID, "n-1", "s-1")
    assert (request.response_mode, request.response_uri) == ("direct_post.jwt", f"{HOST}/responses/1")
    assert request.query == QUERY
    assert request.encryption is not None
    assert request.encryption.jwk == KEY.public_key.jwk()
    assert request.transaction_data == ()
    assert request.party is not None
    assert request.party.id == "urn:atorga:party:portal"
    assert request.client.is_authenticated


def test_the_request_object_as_section_5_has_it() -> None:
    parsed = jws.parse(signed(wallet_nonce="w"))
    assert parsed.header == {
        "typ": "oauth-authz-req+jwt",
        "alg": "ES256",
        "x5c": format_x5c([CITY.verifier.der, CITY.ca.der]),
    }
    assert parsed.claims()["aud"] == "https://self-issued.me/v2"
    assert parsed.claims()["response_type"] == "vp_token"
    assert parsed.claims()["wallet_nonce"] == "w"


def test_iss_is_ignored() -> None:
    assert read(signed(iss="https://somebody.else")).client_id == HASH_ID


def test_state_and_dates_may_be_absent() -> None:
    assert read(signed(state=..., exp=..., iat=..., aud=...)).state is None


def test_an_unlisted_verifier_is_authenticated_and_unknown() -> None:
    """Whether it may be shown at all is the wallet's decision."""
    stranger = Certified("stranger", by=CITY.ca, dns_names=["portal.example"])
    client_id = f"x509_hash:{stranger.x5t}"
    request = read(signed(stranger, client_id=client_id), client_id=client_id)
    assert request.party is None
    assert request.client.is_authenticated
    assert read(registry=None).party is None


def test_a_party_that_is_no_verifier_is_refused() -> None:
    registry = CITY.verified(CITY.verifier_entry(roles=["service"]))
    with pytest.raises(TrustError, match="not as a verifier"):
        read(registry=registry)


def test_a_stale_list_refuses() -> None:
    stale = CITY.verified(CITY.verifier_entry(), iat=NOW - 20, exp=NOW + 1)
    with pytest.raises(TrustError, match="expired"):
        read(registry=stale, now=NOW + 2)


def changed_signature(compact: str) -> str:
    head, payload, _ = compact.split(".")
    return f"{head}.{payload}.{base64url.encode(bytes(64))}"


def unsigned_object(typ: str = "oauth-authz-req+jwt", **change: Any) -> str:
    header = base64url.encode(strict_json.compact({"typ": typ, "alg": "none"}))
    return f"{header}.{base64url.encode(strict_json.compact(claims(**change)))}."


SELF_SIGNED = Certified("alone", dns_names=["portal.example"])
UNTRUSTED_CA = Certified("foreign authority", ca=True)
UNTRUSTED = Certified("foreign", by=UNTRUSTED_CA, dns_names=["portal.example"])
OTHER_HOST = Certified("verifier", by=CITY.ca, dns_names=["other.example"])

BEFORE_ANYBODY_IS_TOLD: dict[str, tuple[Callable[[], Any], str]] = {
    "no JWS": (lambda: read("x"), "parts"),
    "too large": (lambda: read(signed(later="x" * 65_536)), "at most"),
    "typ JWT": (lambda: read(signed(typ="JWT")), "typ"),
    "client id of another": (lambda: read(client_id=f"x509_hash:{certificate_hash(b'x')}"), "differs"),
    "client id absent": (lambda: read(signed(client_id=...)), "differs"),
    "prefix unknown": (lambda: read(signed(client_id="later:x"), client_id="later:x"), "prefix"),
    "prefix origin": (
        lambda: read(signed(client_id="origin:https://p"), client_id="origin:https://p", profile="base"),
        "prefix",
    ),
    "prefix did": (lambda: read(signed(client_id="did:jwk:x"), client_id="did:jwk:x", profile="base"), "prefix"),
    "no prefix": (lambda: read(signed(client_id="me"), client_id="me", profile="base"), "prefix"),
    "prefix without value": (
        lambda: read(signed(client_id="x509_hash:"), client_id="x509_hash:", profile="base"),
        "prefix",
    ),
    "client id too long": (
        lambda: read(signed(client_id="x509_hash:" + "a" * 2_048), client_id="x509_hash:" + "a" * 2_048),
        "characters",
    ),
    "x509_san_dns in haip": (
        lambda: read(signed(client_id="x509_san_dns:portal.example"), client_id="x509_san_dns:portal.example"),
        "prefix",
    ),
    "hash of another certificate": (
        lambda: read(signed(OTHER_HOST), client_id=HASH_ID),
        "hash of the certificate",
    ),
    "signature": (lambda: read(changed_signature(signed())), "signature"),
    "unsigned": (lambda: read(unsigned_object()), "must be signed"),
    "redirect_uri, signed": (
        lambda: read(signed(client_id=f"redirect_uri:{HOST}/r"), client_id=f"redirect_uri:{HOST}/r", profile="base"),
        "cannot be signed",
    ),
    "response_uri absent": (lambda: read(signed(response_uri=...)), "response_uri"),
    "response_uri of another host": (lambda: read(signed(response_uri="https://evil.example/r")), "host"),
    "response_uri of a lower host": (lambda: read(signed(response_uri="https://a.portal.example/r")), "host"),
    "response_uri with user": (lambda: read(signed(response_uri="https://u@portal.example/r")), "https"),
    "response_uri with fragment": (lambda: read(signed(response_uri=f"{HOST}/r#x")), "https"),
    "response_uri of another scheme": (lambda: read(signed(response_uri="ftp://portal.example/r")), "https"),
    "response_uri no address": (lambda: read(signed(response_uri="https://[x/r")), "not an address"),
    "response_uri with a bad port": (lambda: read(signed(response_uri="https://portal.example:x/r")), "not an address"),
    "response_uri too long": (lambda: read(signed(response_uri=HOST + "/" + "r" * 2_048)), "at most"),
}


@pytest.mark.parametrize("name", BEFORE_ANYBODY_IS_TOLD)
def test_refused_and_nobody_is_told(name: str) -> None:
    act, says = BEFORE_ANYBODY_IS_TOLD[name]
    with pytest.raises(ProtocolError, match=says) as caught:
        act()
    assert not isinstance(caught.value, AuthorizationRequestRefused)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("by", "chain", "anchors"),
    [
        (UNTRUSTED, [UNTRUSTED.der, UNTRUSTED_CA.der], [CITY.root.der]),
        (SELF_SIGNED, [SELF_SIGNED.der], [CITY.root.der]),
        (CITY.verifier, [CITY.verifier.der, CITY.ca.der, CITY.root.der], [CITY.root.der]),
        (CITY.verifier, [CITY.verifier.der], [CITY.root.der]),
        (CITY.verifier, [], [CITY.root.der]),
    ],
    ids=["foreign", "self-signed", "root in x5c", "authority missing", "no x5c"],
)
def test_a_chain_that_leads_nowhere(by: Certified, chain: list[bytes], anchors: list[bytes]) -> None:
    client_id = f"x509_hash:{by.x5t}"
    compact = sign_request(claims(client_id=client_id), by.signer, x5c=chain)
    with pytest.raises(TrustError):
        read(compact, client_id=client_id, anchors=anchors)


def test_an_expired_certificate_is_refused() -> None:
    old = Certified("old", by=CITY.ca, dns_names=["portal.example"], valid=(-9, -1))
    client_id = f"x509_hash:{old.x5t}"
    with pytest.raises(TrustError):
        read(signed(old, client_id=client_id), client_id=client_id)


TOLD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "expired": ({"exp": NOW - 61}, {}, "invalid_request"),
    "exp no number": ({"exp": "soon"}, {}, "invalid_request"),
    "iat in the future": ({"iat": NOW + 61}, {}, "invalid_request"),
    "nbf in the future": ({"nbf": NOW + 61}, {}, "invalid_request"),
    "aud of somebody": ({"aud": "https://wallet.example"}, {}, "invalid_request"),
    "wallet_nonce absent": ({}, {"wallet_nonce": "w"}, "invalid_request"),
    "wallet_nonce of another": ({"wallet_nonce": "v"}, {"wallet_nonce": "w"}, "invalid_request"),
    "response_type": ({"response_type": "code"}, {}, "invalid_request"),
    "response_type absent": ({"response_type": ...}, {}, "invalid_request"),
    "direct_post in haip": ({"response_mode": "direct_post"}, {}, "invalid_request"),
    "fragment": ({"response_mode": "fragment"}, {"profile": "base"}, "invalid_request"),
    "response_mode absent": ({"response_mode": ...}, {}, "invalid_request"),
    "redirect_uri beside": ({"redirect_uri": f"{HOST}/x"}, {}, "invalid_request"),
    "scope beside": ({"scope": "pid"}, {}, "invalid_request"),
    "no query": ({"dcql_query": ...}, {}, "invalid_request"),
    "bad query": ({"dcql_query": {"credentials": []}}, {}, "invalid_request"),
    "nonce absent": ({"nonce": ...}, {}, "invalid_request"),
    "nonce empty": ({"nonce": ""}, {}, "invalid_request"),
    "nonce with a space": ({"nonce": "a b"}, {}, "invalid_request"),
    "nonce too long": ({"nonce": "a" * 513}, {}, "invalid_request"),
    "state with a space": ({"state": "a b"}, {}, "invalid_request"),
    "state no text": ({"state": 1}, {}, "invalid_request"),
    "metadata no object": ({"client_metadata": []}, {}, "invalid_request"),
    "metadata absent": ({"client_metadata": ...}, {}, "invalid_request"),
    "formats": ({"client_metadata": {"vp_formats_supported": {"mso_mdoc": {}}}}, {}, "vp_formats_not_supported"),
    "no key": ({"client_metadata": client_metadata.make()}, {}, "invalid_request"),
    "transaction data": (
        {"transaction_data": [format_transaction("urn:later", ["q"], {})]},
        {},
        "invalid_transaction_data",
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_refused_and_the_sender_is_told(name: str) -> None:
    change, arguments, code = TOLD[name]
    with pytest.raises(AuthorizationRequestRefused) as caught:
        read(signed(**change), **arguments)
    assert caught.value.code == code
    assert caught.value.response_uri == f"{HOST}/responses/1"
    assert caught.value.state == (None if "state" in change else "s-1")


def test_skew_is_forgiven() -> None:
    assert read(signed(exp=NOW - 59, iat=NOW + 59)).nonce == "n-1"


def test_wallet_nonce_comes_back() -> None:
    assert read(signed(wallet_nonce="w"), wallet_nonce="w").nonce == "n-1"


def test_direct_post_of_the_base_profile() -> None:
    request = read(signed(response_mode="direct_post", client_metadata=client_metadata.make()), profile="base")
    assert request.encryption is None


def test_x509_san_dns() -> None:
    client_id = "x509_san_dns:portal.example"
    assert read(signed(client_id=client_id), client_id=client_id, profile="base").client.value == "portal.example"
    other = "x509_san_dns:other.example"
    with pytest.raises(ProtocolError, match="no dNSName"):
        read(signed(client_id=other), client_id=other, profile="base")


def test_x509_san_dns_answers_to_its_own_name_only() -> None:
    """A certificate with two names: the answer goes to the one that the client is known by (section 5.9.3)."""
    both = Certified("both", by=CITY.ca, dns_names=["portal.example", "second.example"])
    client_id = "x509_san_dns:second.example"
    with pytest.raises(ProtocolError, match="host"):
        read(signed(both, client_id=client_id), client_id=client_id, profile="base")
    hashed = f"x509_hash:{both.x5t}"
    assert read(signed(both, client_id=hashed), client_id=hashed).response_uri.startswith(HOST)


@pytest.mark.parametrize("method", [did_jwk, did_key], ids=["did:jwk", "did:key"])
def test_clients_named_by_a_did(method: Any) -> None:
    did = method.create(KEY.public_key)
    kid = f"{did}#{'0' if method is did_jwk else did.removeprefix('did:key:')}"
    client_id = f"decentralized_identifier:{did}"
    made = claims(client_id=client_id)
    compact = sign_request(made, KEY, kid=kid)
    request = read(compact, client_id=client_id, profile="base", dids=True)
    assert (request.client.value, request.party) == (did, None)
    with pytest.raises(TrustError, match="DID"):
        read(compact, client_id=client_id, profile="base")
    with pytest.raises(ProtocolError, match="prefix"):
        read(compact, client_id=client_id, profile="haip", dids=True)
    with pytest.raises(ProtocolError, match="kid"):
        read(sign_request(made, KEY, kid=f"{did}#1"), client_id=client_id, profile="base", dids=True)
    with pytest.raises(ProtocolError, match="signature"):
        read(sign_request(made, SoftwareSigner.generate(), kid=kid), client_id=client_id, profile="base", dids=True)


@pytest.mark.parametrize("did", ["did:web:portal.example", "did:jwk:!", "did:key:zzz"])
def test_other_dids_are_refused(did: str) -> None:
    client_id = f"decentralized_identifier:{did}"
    compact = sign_request(claims(client_id=client_id), KEY, kid=f"{did}#0")
    with pytest.raises((TrustError, ProtocolError)):
        read(compact, client_id=client_id, profile="base", dids=True)


UNSIGNED_ID = f"redirect_uri:{HOST}/responses/1"


def by_value(**change: Any) -> link.AuthorizationLink:
    made = claims(client_id=UNSIGNED_ID, **change)
    return link.parse(link.format(link_by_value(made)))


def test_an_unsigned_request_in_the_link() -> None:
    request = read_parameters(by_value(), profile="base", now=NOW)
    assert (request.client_id, request.query, request.party) == (UNSIGNED_ID, QUERY, None)
    assert not request.client.is_authenticated
    # Section 5.9.3: response_uri may be left out, since the client identifier says it.
    assert read_parameters(by_value(response_uri=...), profile="base", now=NOW).response_uri == f"{HOST}/responses/1"


def test_an_unsigned_request_object() -> None:
    request = read(unsigned_object(client_id=UNSIGNED_ID), client_id=UNSIGNED_ID, profile="base")
    assert not request.client.is_authenticated


def test_an_unsigned_request_object_of_another_type() -> None:
    with pytest.raises(ProtocolError, match="typ"):
        read(unsigned_object("JWT", client_id=UNSIGNED_ID), client_id=UNSIGNED_ID, profile="base")


@pytest.mark.parametrize(
    ("made", "profile"),
    [
        (by_value(), "haip"),
        (by_value(response_uri=f"{HOST}/responses/2"), "base"),
        (link.AuthorizationLink(HASH_ID, parameters={"client_id": HASH_ID}), "base"),
        (link.AuthorizationLink(UNSIGNED_ID, parameters={"client_id": UNSIGNED_ID, "dcql_query": "{"}), "base"),
        (by_value(response_mode="fragment"), "base"),
    ],
    ids=["haip", "another address", "x509_hash", "query no JSON", "mode"],
)
def test_an_unsigned_request_refused(made: link.AuthorizationLink, profile: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_parameters(made, profile=profile, now=NOW)
    assert caught.value.code == "invalid_request"


TYPE = "urn:atorga:grant:1"


def transaction(**change: Any) -> str:
    obj = {"type": TYPE, "credential_ids": ["q"], "hash": "abc", **change}
    return base64url.encode(json.dumps({n: v for n, v in obj.items() if v is not ...}).encode())


def test_transaction_data_of_a_known_type() -> None:
    request = read(signed(transaction_data=[transaction()]), transaction_types={TYPE})
    found = request.transaction_data[0]
    assert (found.type, found.credential_ids, found.names_hash, found.members["hash"]) == (TYPE, ("q",), False, "abc")
    assert found.hash == jws.digest(transaction())
    named = read(
        signed(transaction_data=[transaction(transaction_data_hashes_alg=["sha-512", "sha-256"])]),
        transaction_types={TYPE},
    )
    assert named.transaction_data[0].names_hash


@pytest.mark.parametrize(
    "data",
    [
        [],
        "x",
        [7],
        ["!"],
        [base64url.encode(b"[]")],
        [transaction(type=...)],
        [transaction(type="urn:later")],
        [transaction(), transaction(type="urn:later")],
        [transaction(credential_ids=...)],
        [transaction(credential_ids=[])],
        [transaction(credential_ids=["other"])],
        [transaction(transaction_data_hashes_alg=["sha-512"])],
        [transaction(transaction_data_hashes_alg=[])],
        [transaction(n=n) for n in range(9)],
    ],
    ids=lambda data: str(data)[:40],
)
def test_transaction_data_refused(data: Any) -> None:
    with pytest.raises(AuthorizationRequestRefused) as caught:
        read(signed(transaction_data=data), transaction_types={TYPE})
    assert caught.value.code == "invalid_transaction_data"


STATED = StatedPurpose("login", {"en": "To log in"})


def test_what_the_client_says_it_asks_for() -> None:
    assert read().stated is None
    assert read(signed(verifier_info=stated_purpose.format(STATED))).stated == STATED


def test_a_malformed_word_is_refused_where_the_client_is_told() -> None:
    with pytest.raises(AuthorizationRequestRefused, match="verifier_info"):
        read(signed(verifier_info=[]))


def test_nobody_is_believed_to_have_said_what_nobody_signed() -> None:
    address = f"{HOST}/responses/1"
    made = claims(client_id=f"redirect_uri:{address}", verifier_info=stated_purpose.format(STATED))
    asked = link.parse(link.format(link_by_value(made)))
    assert read_parameters(asked, profile="base", now=NOW).stated is None
