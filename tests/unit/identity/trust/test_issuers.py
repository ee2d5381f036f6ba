"""Which key may have signed a credential: by the list, by the issuer's address, by an anchor that stands in."""

import json
from typing import Any

import pytest

from identity.errors import TrustError
from identity.trust.chain import format_x5c
from identity.trust.issuer_metadata import IssuerMetadata
from identity.trust.issuers import IssuerTrust
from identity.trust.registry import VerifiedRegistry
from tests.unit.identity.trust.conftest import DAY, ISS, NOW, VCT, Answers, Certified, City, Clock

CITY = City()
LISTED = CITY.verified(CITY.issuer_entry())
KEYS = "https://town.example/.well-known/jwt-vc-issuer/bcn"


def header(of: Certified, **more: Any) -> dict[str, Any]:
    return {"alg": "ES256", "x5c": format_x5c(CITY.chain(of)), **more}


def trust(listed: VerifiedRegistry | None = LISTED, clock: Clock | None = None, **more: Any) -> IssuerTrust:
    registry = None if listed is None else lambda: listed
    return IssuerTrust(registry, [CITY.root.der], clock or Clock(), **more)


def published(issuer: str = ISS, **keys: Any) -> Answers:
    return Answers({KEYS: json.dumps({"issuer": issuer, "jwks": {"keys": [CITY.party_key.public_key.jwk() | keys]}})})


def refused(reason: str, asked: IssuerTrust, head: dict[str, Any], iss: str = ISS, vct: str = VCT) -> None:
    with pytest.raises(TrustError, match=reason):
        asked.issuer_key(head, iss, vct)


def test_listed_certificate() -> None:
    found = trust().decide(header(CITY.issuer), ISS, VCT)
    assert found.key == CITY.issuer.signer.public_key and found.is_listed and found.party is not None
    assert trust().issuer_key(header(CITY.issuer), ISS, VCT) == found.key


def test_path_alone_is_not_enough() -> None:
    other = Certified("other", by=CITY.ca, uris=["https://other.example/"])
    refused("no party is listed", trust(), header(other), iss="https://other.example/")
    again = Certified("issuer", by=CITY.ca, uris=[ISS])
    refused("other certificates", trust(), header(again))


def test_list_alone_is_not_enough() -> None:
    stranger = Certified("root", ca=True)
    issuer = Certified("issuer", by=stranger, uris=[ISS])
    listed = CITY.verified(CITY.issuer_entry(**{"x5t#S256": [issuer.x5t]}))
    refused("certificate chain", trust(listed), {"x5c": format_x5c([issuer.der])})
    refused("x5c", trust(), {"alg": "ES256"})


def test_certificate_names_the_issuer() -> None:
    for uris, hosts in (([f"{ISS}/"], []), (["https://town.example"], []), ([], ["town.example"]), ([], [])):
        issuer = Certified("issuer", by=CITY.ca, uris=uris, dns_names=hosts)
        listed = CITY.verified(CITY.issuer_entry(**{"x5t#S256": [issuer.x5t]}))
        refused("does not name the issuer", trust(listed), header(issuer))


def test_type_and_role_are_listed() -> None:
    refused("this credential type", trust(), header(CITY.issuer), vct="urn:atorga:person-id:1")
    refused("not listed as issuer", trust(CITY.verified(CITY.issuer_entry(roles=["status"]))), header(CITY.issuer))


def test_from_and_to() -> None:
    refused("another time", trust(CITY.verified(CITY.issuer_entry(to=NOW))), header(CITY.issuer))


def test_stale_list() -> None:
    refused("expired", trust(clock=Clock(NOW + 3_600)), header(CITY.issuer))


def test_no_list() -> None:
    refused("no list", trust(None), header(CITY.issuer))


def test_remembered_path_is_still_judged_by_time_and_list() -> None:
    listed = [LISTED]
    short = Certified("issuer", by=CITY.ca, uris=[ISS], valid=(-1, 0.01))
    clock = Clock()
    asked = IssuerTrust(lambda: listed[0], [CITY.root.der], clock)
    listed[0] = CITY.verified(CITY.issuer_entry(**{"x5t#S256": [short.x5t]}))
    asked.issuer_key(header(short), ISS, VCT)
    clock.now += 0.01 * DAY + 1
    refused("not valid at", asked, header(short))
    clock.now = NOW
    listed[0] = CITY.verified()
    refused("no party is listed", asked, header(short))


@pytest.mark.parametrize("x5c", [None, "x", [1], [[]], []])
def test_odd_header(x5c: Any) -> None:
    refused("x5c", trust(), {"x5c": x5c})


def test_paths_are_forgotten_beyond_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.trust.issuers.MAX_REMEMBERED_CHAINS", 1)
    asked = trust()
    for _ in range(2):
        assert asked.issuer_key(header(CITY.issuer), ISS, VCT)
        refused("does not name", asked, header(CITY.verifier))


# An issuer without certificates in the list: keys at its own address.

BARE = CITY.verified(CITY.issuer_entry(**{"x5t#S256": []}))


def test_listed_issuer_without_certificates() -> None:
    answers = published(kid="1")
    asked = trust(BARE, metadata=IssuerMetadata(answers, Clock()))
    found = asked.decide({"kid": "1"}, ISS, VCT)
    assert found.key == CITY.party_key.public_key and found.is_listed and found.chain is None
    refused("this credential type", asked, {"kid": "1"}, vct="urn:other")
    assert answers.asked == [KEYS]


def test_listed_issuer_with_certificates_is_not_judged_by_its_address() -> None:
    answers = published(kid="1")
    asked = trust(metadata=IssuerMetadata(answers, Clock()), known=[ISS], anchors_stand_in=True)
    refused("x5c", asked, {"kid": "1"})
    assert answers.asked == []


def test_nobody_is_asked_for_an_unlisted_issuer() -> None:
    answers = published(kid="1")
    refused("no party is listed", trust(CITY.verified(), metadata=IssuerMetadata(answers, Clock())), {"kid": "1"})
    assert answers.asked == []


def test_keys_are_not_asked_for_where_nothing_is_configured() -> None:
    refused("not done here", trust(BARE), {"kid": "1"})


@pytest.mark.parametrize("kid", [1, [], "x" * 513])
def test_odd_kid(kid: Any) -> None:
    refused("kid", trust(BARE, metadata=IssuerMetadata(published(kid="1"), Clock())), {"kid": kid})


def test_known_issuer() -> None:
    asked = trust(None, metadata=IssuerMetadata(published(), Clock()), known=[ISS])
    found = asked.decide({}, ISS, "urn:any")
    assert found.key == CITY.party_key.public_key and not found.is_listed
    refused("no list", asked, {}, iss=f"{ISS}2")


# An anchor that stands in.


def test_stand_in_by_uri() -> None:
    found = trust(None, anchors_stand_in=True).decide(header(CITY.issuer), ISS, "urn:any")
    assert found.key == CITY.issuer.signer.public_key and not found.is_listed


def test_stand_in_by_host_only_without_uris() -> None:
    asked = trust(None, anchors_stand_in=True)
    host = Certified("issuer", by=CITY.ca, dns_names=["town.example"])
    assert asked.issuer_key(header(host), ISS, VCT) == host.signer.public_key
    both = Certified("issuer", by=CITY.ca, dns_names=["town.example"], uris=["https://town.example/other"])
    refused("does not name", asked, header(both))
    for names in (["other.example"], ["*.example"], ["example"]):
        refused("does not name", asked, header(Certified("issuer", by=CITY.ca, dns_names=names)))
    refused("does not name", asked, header(host), iss="did:example:1")
    refused("does not name", asked, header(Certified("issuer", by=CITY.ca)), iss="did:example:1")


def test_stand_in_never_weakens_a_listing() -> None:
    asked = trust(anchors_stand_in=True)
    refused("this credential type", asked, header(CITY.issuer), vct="urn:other")
    refused("other certificates", asked, header(Certified("issuer", by=CITY.ca, uris=[ISS])))


def test_stand_in_still_needs_the_path() -> None:
    stranger = Certified("root", ca=True)
    issuer = Certified("issuer", by=stranger, uris=[ISS])
    refused("certificate chain", trust(None, anchors_stand_in=True), {"x5c": format_x5c([issuer.der])})


def test_further_types() -> None:
    trust().require_types(ISS, [VCT])
    with pytest.raises(TrustError, match="this credential type"):
        trust().require_types(ISS, [VCT, "urn:other"])
    with pytest.raises(TrustError, match="no list"):
        trust(None).require_types(ISS, ["urn:other"])
    trust(None, known=[ISS]).require_types(ISS, ["urn:other"])
    trust(None, anchors_stand_in=True).require_types(ISS, ["urn:other"])
