"""Who asks for a presentation: path and list, or an anchor that stands in."""

import pytest

from identity.errors import TrustError
from identity.trust.registry import VerifiedRegistry
from identity.trust.verifiers import VerifierTrust
from tests.unit.identity.trust.conftest import NOW, Certified, City, Clock

CITY = City()
CHAIN = CITY.chain(CITY.verifier)


def trust(listed: VerifiedRegistry | None, *, stand_in: bool = False, now: float = NOW) -> VerifierTrust:
    registry = None if listed is None else lambda: listed
    return VerifierTrust(registry, [CITY.root.der], Clock(now), anchors_stand_in=stand_in)


def test_listed_verifier() -> None:
    found = trust(CITY.verified(CITY.verifier_entry())).decide(CHAIN)
    assert found.party is not None and found.party.id == "urn:atorga:party:portal"
    assert found.chain.dns_names == ("portal.example",) and found.chain.key == CITY.verifier.signer.public_key


def test_refused() -> None:
    for listed, reason in (
        (CITY.verified(), "not listed"),
        (CITY.verified(CITY.verifier_entry(roles=["service"])), "not listed as verifier"),
        (CITY.verified(CITY.verifier_entry(to=NOW)), "another time"),
        (None, "no list"),
    ):
        with pytest.raises(TrustError, match=reason):
            trust(listed).decide(CHAIN)
        assert trust(listed, stand_in=True).decide(CHAIN).party is None
    with pytest.raises(TrustError, match="expired"):
        trust(CITY.verified(CITY.verifier_entry()), now=NOW + 3_600).decide(CHAIN)


def test_anchor_that_stands_in_still_prefers_the_list() -> None:
    assert trust(CITY.verified(CITY.verifier_entry()), stand_in=True).decide(CHAIN).party is not None


def test_path_is_needed_in_every_mode() -> None:
    stranger = Certified("root", ca=True)
    verifier = Certified("verifier", by=stranger, dns_names=["portal.example"])
    listed = CITY.verified(CITY.verifier_entry(**{"x5t#S256": [verifier.x5t]}))
    for stand_in in (False, True):
        with pytest.raises(TrustError, match="certificate chain"):
            trust(listed, stand_in=stand_in).decide([verifier.der])
