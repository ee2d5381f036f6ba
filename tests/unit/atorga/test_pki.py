"""The sandbox's certificates: made once, each good for its need and no other."""

import stat
from pathlib import Path

import pytest

from atorga.town.pki import ACCESS, ISSUERS, REGISTRY, Signing, TownPki
from identity.errors import TrustError
from identity.trust.chain import anchors_from_pem, verify_chain
from identity.trust.registry import sign_registry, verify_registry

NOW = 1_795_315_010
YEAR = 365 * 86_400
ISS = "http://localhost:8100/bcn"


@pytest.fixture
def pki(tmp_path: Path) -> TownPki:
    return TownPki(tmp_path / "pki", clock=lambda: NOW)


def anchors(pki: TownPki, name: str) -> tuple[bytes, ...]:
    return anchors_from_pem(pki.root(name).certificates.read_bytes())


def test_every_need(pki: TownPki) -> None:
    trusted = anchors_from_pem(pki.trust_pem().read_bytes())
    assert trusted == anchors(pki, ISSUERS) + anchors(pki, ACCESS) + anchors(pki, REGISTRY)
    for signing, root, uris, hosts, length in (
        (pki.issuer_signer("bcn", issuer=ISS), ISSUERS, (ISS,), (), 2),
        (pki.status_signer("bcn", issuer=ISS), ISSUERS, (ISS,), (), 2),
        (pki.access_certificate("portal"), ACCESS, (), ("localhost",), 2),
        (
            pki.access_certificate("other", dns_names=["a.example", "b.example"]),
            ACCESS,
            (),
            ("a.example", "b.example"),
            2,
        ),
        (pki.registry_signer(), REGISTRY, (), (), 1),
    ):
        chain = signing.chain()
        verified = verify_chain(chain, anchors(pki, root), at=NOW)
        assert (verified.uris, verified.dns_names, len(chain)) == (uris, hosts, length)
        assert verified.x5t == signing.x5t and verified.key == signing.signer().public_key
        assert verified.valid_to == NOW + YEAR and verified.valid_from <= NOW
        for other in {ISSUERS, ACCESS, REGISTRY} - {root}:
            with pytest.raises(TrustError):
                verify_chain(chain, anchors(pki, other), at=NOW)
        with pytest.raises(TrustError):
            verify_chain(chain, trusted, at=NOW + YEAR + 1)


def test_signs_a_list_of_parties(pki: TownPki, tmp_path: Path) -> None:
    signing = pki.registry_signer(tmp_path / "registry")
    assert signing.key.parent == tmp_path / "registry"
    claims = {"iss": "urn:atorga:party:registry", "version": 1, "iat": NOW, "exp": NOW + 60, "parties": []}
    compact = sign_registry(claims, signing.signer(), signing.chain())
    assert verify_registry(compact, anchors=anchors(pki, REGISTRY), now=NOW).version == 1
    access = pki.access_certificate("portal")
    forged = sign_registry(claims, access.signer(), access.chain())
    with pytest.raises(TrustError, match="party's certificate"):
        verify_registry(forged, anchors=anchors_from_pem(pki.trust_pem().read_bytes()), now=NOW)


def test_made_once(pki: TownPki, tmp_path: Path) -> None:
    before = pki.issuer_signer("bcn", issuer=ISS), pki.trust_pem().read_bytes()
    again = TownPki(tmp_path / "pki", clock=lambda: NOW + 1_000)
    assert (again.issuer_signer("bcn", issuer=ISS), again.trust_pem().read_bytes()) == before
    assert before[0].x5t == again.issuer_signer("bcn", issuer=ISS).x5t


def test_an_authority_made_later_ends_with_its_root(pki: TownPki, tmp_path: Path) -> None:
    pki.trust_pem()
    later = TownPki(tmp_path / "pki", clock=lambda: NOW + 1_000).access_certificate("portal")
    assert (
        verify_chain(later.chain(), anchors(pki, ACCESS), at=NOW + 1_000).leaf.not_valid_after_utc.timestamp()
        == NOW + YEAR
    )


def test_certificate_made_for_another_name_is_not_handed_out(pki: TownPki) -> None:
    pki.issuer_signer("bcn", issuer=ISS)
    with pytest.raises(ValueError, match="other names"):
        pki.issuer_signer("bcn", issuer="http://localhost:9100/bcn")


def test_keys_are_private(pki: TownPki, tmp_path: Path) -> None:
    made: list[Signing] = [
        pki.registry_signer(),
        pki.access_certificate("portal"),
        pki.issuer_signer("bcn", issuer=ISS),
    ]
    assert all(stat.S_IMODE(one.key.stat().st_mode) == 0o600 for one in made)
    keys = list((tmp_path / "pki").glob("*.key.pem"))
    assert len(keys) == 8 and all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    assert not list((tmp_path / "pki").glob(".*"))
    for path in (tmp_path / "pki").glob("*.pem"):
        assert (b"PRIVATE" in path.read_bytes()) == (path in keys)
