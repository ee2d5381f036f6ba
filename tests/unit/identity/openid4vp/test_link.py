"""The link that calls a wallet."""

import pytest

from identity.errors import ProtocolError
from identity.openid4vp import link
from identity.openid4vp.link import AuthorizationLink


@pytest.mark.parametrize(
    "made",
    [
        AuthorizationLink("x509_hash:abc", "https://v.example/r?x=1&y=2"),
        AuthorizationLink("x509_hash:abc", "https://v.example/r", "post"),
        AuthorizationLink("x509_hash:abc", request="a.b.c"),
    ],
)
def test_round_trip(made: AuthorizationLink) -> None:
    assert link.parse(link.format(made)) == made


def test_a_request_in_the_link_keeps_all_parameters() -> None:
    read = link.parse("openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fv.example&nonce=n&state=s")
    assert read.parameters == {"client_id": "redirect_uri:https://v.example", "nonce": "n", "state": "s"}
    assert link.parse(link.format(read)) == read


@pytest.mark.parametrize("scheme", ["openid4vp", "haip-vp", "eudi-openid4vp", "https"])
def test_schemes(scheme: str) -> None:
    assert link.parse(f"{scheme}://wallet?client_id=a&request_uri=https://v").request_uri == "https://v"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("openid-credential-offer://?client_id=a&request_uri=https://v", "invalid_request"),
        ("javascript:alert(1)?client_id=a&request_uri=https://v", "invalid_request"),
        ("http://v?client_id=a&request_uri=https://v", "invalid_request"),
        ("openid4vp://?request_uri=https://v", "invalid_request"),
        ("openid4vp://?client_id=&request_uri=https://v", "invalid_request"),
        ("openid4vp://?client_id=a&client_id=b&request_uri=https://v", "invalid_request"),
        ("openid4vp://?client_id=a&request_uri=https://v&request=x", "invalid_request"),
        ("openid4vp://?client_id=a&request=x&request_uri_method=post", "invalid_request"),
        ("openid4vp://?client_id=a&request_uri=", "invalid_request"),
        ("openid4vp://?client_id=a&request_uri=https://v&request_uri_method=POST", "invalid_request_uri_method"),
        ("openid4vp://[?client_id=a", "invalid_request"),
        ("openid4vp://?client_id=ñ&request_uri=https://v", "invalid_request"),
        ("openid4vp://?client_id=a&request_uri=https://" + "v" * 2_048, "invalid_request"),
        ("openid4vp://?client_id=a&x=" + "v" * 16_384, "invalid_request"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        link.parse(text)
    assert caught.value.code == code
