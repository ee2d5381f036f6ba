"""`wallet trust add`: anchors, the signed list, issuers by address; and what is none of them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.wallet_cli.city import ISSUER, REGISTRY, TRUST_PEM, City
from tests.unit.wallet_cli.conftest import Wallet
from tests.unit.wallet_cli.issuing import IssuerScript


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def visitor(city: City, wallet: Wallet) -> Wallet:
    """In the city, trusting nobody yet."""
    wallet.transport = city.transport
    return wallet


def test_a_bundle_from_an_address_or_a_file(visitor: Wallet, city: City, tmp_path: Path) -> None:
    bundle = tmp_path / "trust.pem"
    bundle.write_bytes(city.pki.trust_pem().read_bytes())
    for source in (TRUST_PEM, str(bundle)):
        result = visitor.run("trust", "add", source, "--json")
        assert result.code == 0, result.err
        assert (len(result.json["anchors"]), result.json["uses"]) == (3, ["issuer", "verifier"])
    assert "stands under it" in result.err


def test_one_certificate_in_der(visitor: Wallet, city: City, tmp_path: Path) -> None:
    path = tmp_path / "root.der"
    path.write_bytes(city.pki.root("issuers").chain()[0])
    assert visitor.run("trust", "add", str(path), "--as", "issuer", "--json").json["uses"] == ["issuer"]


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", b"x" * 70_000]
)
def test_what_is_no_certificate(visitor: Wallet, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    result = visitor.run("trust", "add", str(tmp_path / "x"), "--json")
    assert (result.code, result.json["error"]) == (1, "anchor_invalid")
    assert visitor.run("trust", "add", str(tmp_path / "none"), "--json").json["error"] == "anchor_invalid"


def test_a_certificate_that_may_not_certify(visitor: Wallet, city: City, tmp_path: Path) -> None:
    leaf = x509.load_der_x509_certificate(city.pki.access_certificate("portal").chain()[0])
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    assert visitor.run("trust", "add", str(tmp_path / "leaf.pem"), "--json").json["error"] == "anchor_invalid"


def test_an_anchor_for_one_use_serves_no_other(visitor: Wallet, city: City, tmp_path: Path) -> None:
    issuer = IssuerScript(city)
    assert visitor.run("trust", "add", TRUST_PEM, "--as", "verifier").code == 0
    assert visitor.run("offer", "accept", issuer.link(), "--json").json["error"] == "unknown_issuer"
    # A list speaks for all uses, so an anchor for one of them does not speak for it.
    assert visitor.run("trust", "add", "--registry", REGISTRY, "--json").json["error"] == "anchor_missing"
    assert visitor.run("trust", "add", TRUST_PEM, "--as", "issuer").code == 0
    assert visitor.run("trust", "add", "--registry", REGISTRY, "--json").code == 0


def test_the_signed_list(visitor: Wallet) -> None:
    assert visitor.run("trust", "add", TRUST_PEM).code == 0
    result = visitor.run("trust", "add", "--registry", REGISTRY, "--json")
    assert (result.json["version"], result.json["parties"]) == (1, 6)
    assert "names 6 parties" in result.err


def test_a_list_needs_an_anchor_first(visitor: Wallet) -> None:
    assert visitor.run("trust", "add", "--registry", REGISTRY, "--json").json["error"] == "anchor_missing"


def test_a_list_under_another_anchor(visitor: Wallet, tmp_path: Path) -> None:
    stranger = City(tmp_path / "stranger")
    (tmp_path / "s.pem").write_bytes(stranger.pki.trust_pem().read_bytes())
    assert visitor.run("trust", "add", str(tmp_path / "s.pem")).code == 0
    result = visitor.run("trust", "add", "--registry", REGISTRY, "--json")
    assert (result.code, result.json["error"]) == (1, "untrusted")


@pytest.mark.parametrize("text", ["", "x.y.z", "{}"])
def test_what_is_no_list(visitor: Wallet, city: City, text: str) -> None:
    assert visitor.run("trust", "add", TRUST_PEM).code == 0
    city.answer("GET", REGISTRY, lambda _: httpx.Response(200, text=text))
    assert visitor.run("trust", "add", "--registry", REGISTRY, "--json").json["error"] == "untrusted"


def test_an_older_list_does_not_come_back(visitor: Wallet, city: City) -> None:
    """Whoever can answer for the registry cannot bring back a party that was dropped."""
    old = city.signed_list()
    city.unlisted, city.version = {"bcn"}, 2
    city.trusted_by(visitor)
    city.answer("GET", REGISTRY, lambda _: httpx.Response(200, text=old))
    issuer = IssuerScript(city)
    result = visitor.run("offer", "accept", issuer.link(), "--json")
    assert "not on the signed list" in result.err
    assert visitor.run("trust", "add", "--registry", REGISTRY, "--json").json["error"] == "untrusted"


def test_an_unreachable_list_is_the_kept_one(visitor: Wallet, city: City) -> None:
    city.trusted_by(visitor)
    del city.answers[("GET", REGISTRY)]
    issuer = IssuerScript(city)
    result = visitor.run("offer", "accept", issuer.link(), "--json")
    assert result.code == 0
    assert "not on the signed list" not in result.err
    visitor.now = city.now + 2 * 86_400
    assert visitor.run("offer", "accept", issuer.link(), "--json").json["error"] == "registry_refused"


def test_an_issuer_by_its_address(visitor: Wallet, city: City) -> None:
    """Its keys are at its own address (SD-JWT VC section 4); no certificate and no list speak for it."""
    issuer = IssuerScript(city)
    signing = city.pki.issuer_signer("bcn", issuer=ISSUER).signer()
    keys = {"keys": [{**signing.public_key.jwk(), "kid": "k1"}]}
    address = "http://localhost:8100/.well-known/jwt-vc-issuer/bcn"
    city.answer("GET", address, lambda _: httpx.Response(200, json={"issuer": ISSUER, "jwks": keys}))
    real = issuer.copy
    issuer.copy = lambda kind, key, **changed: real(kind, key, x5c=(), kid="k1", **changed)  # type: ignore[method-assign]
    assert visitor.run("offer", "accept", issuer.link(), "--json").json["error"] == "unknown_issuer"
    assert visitor.run("trust", "add", "--issuer", ISSUER, "--json").json == {"issuer": ISSUER}
    result = visitor.run("offer", "accept", issuer.link(), "--json")
    assert result.code == 0, result.err


@pytest.mark.parametrize("url", ["http://issuer.example", "ftp://localhost/x", "nonsense"])
def test_an_issuer_at_an_unsafe_address(visitor: Wallet, url: str) -> None:
    assert visitor.run("trust", "add", "--issuer", url, "--json").json["error"] == "address_refused"


@pytest.mark.parametrize("arguments", [["--as", "issuer", "--registry", REGISTRY], ["--as", "all", "x"], []])
def test_a_wrong_command_line(visitor: Wallet, arguments: list[str]) -> None:
    assert visitor.run("trust", "add", *arguments, "--json").code == 2


def test_what_was_decided_is_remembered(visitor: Wallet) -> None:
    visitor.run("trust", "add", TRUST_PEM)
    entries: list[dict[str, Any]] = visitor.run("history", "--json").json["history"]
    assert [entry["act"] for entry in entries] == ["trusted"] * 3
