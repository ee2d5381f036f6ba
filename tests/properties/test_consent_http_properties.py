"""Whatever is sent to the consent service gets a named refusal, never a fault, and changes nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from consent import spec
from identity.codec import base64url, strict_json
from identity.envelope import jws
from tests.consent_city import CONSENT, HOLDER, NOW, SERVICE, ConsentCity, Wallet

JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TYPS = [value for name, value in vars(spec).items() if name.startswith("TYP_")]
NAMES = [
    "iss", "aud", "jti", "iat", "exp", "mailbox", "authorization_details", "grant_id", "attributes", "act", "do",
    "request", "request_hash", "decision", "holder", "purpose", "procedure", "reply_key", "id", "version", "row",
    "hpke", "datatypes", "holders", "legal_basis", "retention_seconds", "notice", "sensitive", "expected_subject",
    "grantee", "accreditation", "vp_token", "presentation",
]  # fmt: skip
LIKELY: Any = st.sampled_from(
    [CONSENT, SERVICE, HOLDER, base64url.encode(bytes(16)), "A" * 43, NOW, NOW + 60, 1, "given", None, [], {}]
)

PATHS = [
    ("POST", "/me/account"), ("POST", "/me/mailboxes"), ("DELETE", "/me/mailboxes"), ("POST", "/me/grants"),
    ("POST", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA/withdrawal"), ("POST", "/uses"),
]  # fmt: skip
SIGNED = [
    ("POST", "/declarations"), ("POST", "/requests"), ("POST", "/withdrawals"),
    ("PATCH", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA"),
]  # fmt: skip


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    city = ConsentCity(tmp_path_factory.mktemp("city"))
    city.declare_all()
    yield Wallet(city).enrolled()
    city.close()


def refused(answer: Any) -> None:
    assert answer.status_code in (202, 400, 401, 404, 409), (answer.status_code, answer.text)
    assert answer.headers["content-type"] == spec.MEDIA_JSON
    body = strict_json.parse_object(answer.content, what="answer")
    assert answer.status_code == 202 or set(body) <= {"error", "error_description", "act"}


def events(wallet: Wallet) -> int:
    """Everything that was ever done, logged or not yet."""
    with wallet.city.engine.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM event")).scalar_one())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    value=JSON
    | st.dictionaries(
        st.sampled_from(["grant", "locator", "mailbox", "attributes", "use_request", "vp_token", "view_jwk"]),
        JSON,
        max_size=4,
    ),
)
def test_any_json(wallet: Wallet, path: tuple[str, str], value: Any) -> None:
    method, address = path
    signer = wallet.city.signer(HOLDER) if address == "/uses" else wallet.key
    body = strict_json.compact(value)
    proof = wallet.city.proof(signer, method, address, body, with_jwk=address == "/me/account")
    before = events(wallet)
    refused(wallet.city.send(method, address, body, request_proof=proof, content_type=spec.MEDIA_JSON))
    assert events(wallet) == before


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(SIGNED),
    typ=st.sampled_from(TYPS),
    claims=st.dictionaries(st.sampled_from(NAMES), LIKELY | JSON, max_size=14),
    signer=st.sampled_from([SERVICE, HOLDER, "wallet"]),
    by_jwk=st.booleans(),
)
def test_any_signed_message(
    wallet: Wallet, path: tuple[str, str], typ: str, claims: dict[str, Any], signer: str, by_jwk: bool
) -> None:
    """Also rightly signed: by a listed service or data holder, or by a wallet's own key."""
    key = wallet.key if signer == "wallet" else wallet.city.signer(signer)
    header: dict[str, Any] = {"jwk": key.public_key.jwk()} if by_jwk else {"kid": key.public_key.thumbprint}
    compact = jws.sign(claims, key, typ=typ, header=header)
    before = events(wallet)
    answer = wallet.city.post_jws(path[1], compact, path[0])
    if answer.status_code == 429:
        return
    refused(answer)
    assert events(wallet) == before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS + SIGNED), body=st.binary(max_size=200), media=st.text(max_size=20))
def test_any_bytes(wallet: Wallet, path: tuple[str, str], body: bytes, media: str) -> None:
    method, address = path
    named = media if media.isascii() and media.isprintable() else spec.MEDIA_JSON
    answer = wallet.city.send(method, address, body, content_type=named)
    assert answer.status_code in (400, 401, 404, 415), (answer.status_code, answer.text)
