"""Form bodies, authorization requests and token requests: what is read, and what is refused for its form."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from identity.errors import ProtocolError
from identity.openid4vci import authorization_details, authorization_request, form, token_request
from identity.openid4vci.redirect import RedirectPolicy, require, with_parameters
from identity.openid4vci.spec import PRE_AUTHORIZED, description
from identity.openid4vci.token_request import CodeRequest, PreAuthorizedRequest, RefreshRequest

ISSUER = "https://issuer.example/bcn"
DIGEST = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
REQUEST = {
    "client_id": "wallet", "response_type": "code", "redirect_uri": "https://wallet.example/cb", "state": "s",
    "code_challenge": DIGEST, "code_challenge_method": "S256", "scope": "a b a",
}  # fmt: skip


def code_of(data: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        form.parse(data, what="form")
    return caught.value.code


def test_form() -> None:
    assert form.parse(b"a=1&b=%C3%A0+b&empty=", what="form") == {"a": "1", "b": "à b"}
    assert form.parse(b"", what="form") == {}


@pytest.mark.parametrize(
    "data",
    [
        b"a=1&a=1",
        b"a=1&a=",
        b"a",
        b"a=1;b=2&c",
        b"a=%FF",
        b"a=\xc3\xa0",
        b"&".join(b"p%d=1" % at for at in range(33)),
        b"a=" + b"1" * form.MAX_FORM_BYTES,
    ],
)
def test_forms_that_are_refused(data: bytes) -> None:
    assert code_of(data) == "invalid_request"


def test_parameters_are_printable_ascii_and_limited() -> None:
    for value in ("à", "a\nb", "a\x00", "x" * 2_049):
        with pytest.raises(ProtocolError):
            form.required({"a": value}, "a", what="form")
    with pytest.raises(ProtocolError, match="missing"):
        form.required({}, "a", what="form")


def parsed(**changes: str | None) -> authorization_request.AuthorizationRequest:
    fields = {name: value for name, value in {**REQUEST, **changes}.items() if value is not None}
    return authorization_request.parse(fields, issuer=ISSUER, policy=RedirectPolicy.HTTPS_OR_LOOPBACK)


def test_authorization_request() -> None:
    request = parsed(dpop_jkt=DIGEST, issuer_state="x")
    assert (request.client_id, request.redirect_uri, request.state) == ("wallet", REQUEST["redirect_uri"], "s")
    assert request.scopes == ("a", "b") and request.details is None
    assert request.dpop_jkt == DIGEST and request.issuer_state == "x"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, "invalid_request"),
        ({"client_id": "à"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "AAAA"}, "invalid_request"),
        ({"code_challenge": DIGEST[:-1] + "N"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "http://wallet.example/cb"}, "invalid_request"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"request": "jwt"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"state": "x" * 1_025}, "invalid_request"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
    ],
)
def test_authorization_requests_that_are_refused(changes: dict[str, str | None], code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parsed(**changes)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "details",
    [
        "[]",
        "{}",
        '["openid_credential"]',
        '[{"type":"other","credential_configuration_id":"a"}]',
        '[{"type":"openid_credential"}]',
        '[{"type":"openid_credential","credential_configuration_id":1}]',
        '[{"type":"openid_credential","credential_configuration_id":"a","locations":["https://other.example"]}]',
        '[{"type":"openid_credential","type":"openid_credential","credential_configuration_id":"a"}]',
        json.dumps([{"type": "openid_credential", "credential_configuration_id": "a"}] * 33),
    ],
)
def test_details_that_are_refused(details: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        authorization_details.parse(details, issuer=ISSUER)
    assert caught.value.code == "invalid_authorization_details"


def test_details() -> None:
    details = [
        {"type": "openid_credential", "credential_configuration_id": "a", "locations": [ISSUER], "claims": []},
        {"type": "openid_credential", "credential_configuration_id": "b", "unknown": 1},
        {"type": "openid_credential", "credential_configuration_id": "a"},
    ]
    assert authorization_details.parse(json.dumps(details), issuer=ISSUER) == ("a", "b")
    assert authorization_details.format({"a": ["a.0"]}) == [
        {"type": "openid_credential", "credential_configuration_id": "a", "credential_identifiers": ["a.0"]}
    ]


SANDBOX, NATIVE = RedirectPolicy.HTTPS_OR_LOOPBACK, RedirectPolicy.NATIVE_ONLY


@pytest.mark.parametrize(
    ("uri", "policy"),
    [
        ("https://wallet.example/cb?x=1", SANDBOX),
        ("https://wallet.example:8443/", SANDBOX),
        ("http://127.0.0.1:1234/cb", SANDBOX),
        ("http://localhost/cb", SANDBOX),
        ("http://[::1]:7/cb", SANDBOX),
        ("http://127.0.0.1:1234/cb", NATIVE),
        ("com.example.wallet:/cb", NATIVE),
    ],
)
def test_redirect_addresses(uri: str, policy: RedirectPolicy) -> None:
    require(uri, policy)


@pytest.mark.parametrize(
    ("uri", "policy"),
    [
        ("http://wallet.example/cb", SANDBOX),
        ("http://127.0.0.1.wallet.example/cb", SANDBOX),
        ("http://localhost.wallet.example/cb", SANDBOX),
        ("http://127.0.0.1@wallet.example/cb", SANDBOX),
        ("https://user@wallet.example/cb", SANDBOX),
        ("https://good.example\\@evil.example/cb", SANDBOX),
        ("https://good.example/cb#fragment", SANDBOX),
        ("https:///cb", SANDBOX),
        ("https:wallet.example", SANDBOX),
        ("//wallet.example/cb", SANDBOX),
        ("/cb", SANDBOX),
        ("https://wallet.example:port/cb", SANDBOX),
        ("https://wallet.example:99999999/cb", SANDBOX),
        ("https://wallet.example/ cb", SANDBOX),
        ("https://wallet.example/\tcb", SANDBOX),
        ("https://wàllet.example/cb", SANDBOX),
        ("javascript:alert(1)", SANDBOX),
        ("data:text/html,x", SANDBOX),
        ("com.example.wallet:/cb", SANDBOX),
        ("https://wallet.example/" + "x" * 2_048, SANDBOX),
        ("https://wallet.example/cb", NATIVE),
        ("wallet:/cb", NATIVE),
        ("com.example.wallet://host/cb", NATIVE),
    ],
)
def test_redirect_tricks(uri: str, policy: RedirectPolicy) -> None:
    with pytest.raises(ProtocolError) as caught:
        require(uri, policy)
    assert caught.value.code == "invalid_request"


def test_parameters_are_added_to_what_is_there() -> None:
    assert with_parameters("https://w.example/cb", {"code": "a b"}) == "https://w.example/cb?code=a+b"
    assert (
        with_parameters("https://w.example/cb?x=1", {"iss": ISSUER})
        == f"https://w.example/cb?x=1&{urlencode({'iss': ISSUER})}"
    )


def redeem(**fields: str) -> Any:
    return token_request.parse(fields, issuer=ISSUER)


def test_token_requests() -> None:
    code = redeem(grant_type="authorization_code", code="c", code_verifier="v" * 43, client_id="w", redirect_uri="u")
    assert code == CodeRequest("w", "c", "v" * 43, "u", None)
    offered = redeem(**{"grant_type": PRE_AUTHORIZED, "pre-authorized_code": "c", "tx_code": "123456"})
    assert offered == PreAuthorizedRequest(None, "c", "123456", None)
    again = redeem(grant_type="refresh_token", refresh_token="r", scope="a b")
    assert again == RefreshRequest(None, "r", None, ("a", "b"))
    for request in (code, offered, again):
        assert "'c'" not in repr(request) and "'r'" not in repr(request) and "123456" not in repr(request)


CODE = {"grant_type": "authorization_code", "code": "c", "code_verifier": "v" * 43, "client_id": "w"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        (CODE | {"code_verifier": ""}, "invalid_request"),
        (CODE | {"client_id": ""}, "invalid_request"),
        (CODE | {"code_verifier": "v" * 42}, "invalid_request"),
        (CODE | {"code_verifier": "v" * 129}, "invalid_request"),
        (CODE | {"code_verifier": "+" * 43}, "invalid_request"),
        (CODE | {"code": ""}, "invalid_request"),
        ({"grant_type": PRE_AUTHORIZED}, "invalid_request"),
        ({"grant_type": PRE_AUTHORIZED, "pre-authorized_code": "x" * 257}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "r", "tx_code": "1"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "r", "authorization_details": "[]"},
         "invalid_authorization_details"),
    ],
)  # fmt: skip
def test_token_requests_that_are_refused(fields: dict[str, str], code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        redeem(**{name: value for name, value in fields.items() if value})
    assert caught.value.code == code


def test_descriptions_are_ascii_without_quotes() -> None:
    assert description('a "b" \\ …ñ') == "a ?b? ? ??"
    assert len(description("x" * 2_000)) == 512
