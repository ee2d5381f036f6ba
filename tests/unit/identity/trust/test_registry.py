"""The signed list: every member read strictly, every lookup for an instant."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import TrustError
from identity.keys.signer import SoftwareSigner
from identity.trust import registry as rooms
from identity.trust.chain import format_x5c
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry
from tests.unit.identity.trust.conftest import DAY, ISS, NOW, VCT, Certified, City, claims, party

CITY = City()
ANCHORS = [CITY.registry_root.der]
P384 = SoftwareSigner.generate("P-384").public_key.jwk()


def raw(payload: Any, *, by: Certified | None = None, header: dict[str, Any] | None = None) -> str:
    """Signed without asking whether a reader would take it."""
    signing = by or CITY.registry
    head = {"typ": "trust-list+jwt", "alg": "ES256", "x5c": format_x5c([signing.der]), **(header or {})}
    text = payload if isinstance(payload, str) else json.dumps(payload)
    signed = f"{base64url.encode(json.dumps(head).encode())}.{base64url.encode(text.encode())}"
    return f"{signed}.{base64url.encode(signing.signer.sign(signed.encode()))}"


def read(compact: str, now: int = NOW, minimum_version: int = 0) -> VerifiedRegistry:
    return verify_registry(compact, anchors=ANCHORS, now=now, minimum_version=minimum_version)


def test_a_list_says() -> None:
    compact = CITY.list(CITY.issuer_entry(), CITY.verifier_entry(endpoints={"feed": "https://portal.example/feed"}))
    found = read(compact)
    assert (found.issuer, found.version, found.compact) == ("urn:atorga:party:registry", 3, compact)
    assert (found.issued, found.expires) == (NOW - 10, NOW + 3_600)
    town = found.party("urn:atorga:party:town", now=NOW)
    assert town.roles == {"issuer", "status"} and town.name == {"en": "Town"}
    assert (town.issuer, town.vcts, town.status_prefixes) == (ISS, (VCT,), (f"{ISS}/status/",))
    assert town.public_key == CITY.party_key.public_key and town.log_vkey is None and town.endpoints == {}
    assert found.by_issuer(ISS, now=NOW) is town is found.by_certificate(CITY.status.x5t, now=NOW)
    assert found.by_role("status", now=NOW) == [town] and found.by_role("log", now=NOW) == []
    portal = found.by_certificate(CITY.verifier.x5t, now=NOW)
    assert portal.endpoints == {"feed": "https://portal.example/feed"}
    assert found.key_of(portal.id, "verifier", now=NOW) == CITY.party_key.public_key


def test_nobody_listed() -> None:
    found = CITY.verified(CITY.issuer_entry())
    asks: tuple[Callable[[], object], ...] = (
        lambda: found.party("urn:atorga:party:other", now=NOW),
        lambda: found.by_issuer("https://town.example/bcn/", now=NOW),
        lambda: found.by_certificate(CITY.verifier.x5t, now=NOW),
    )
    for ask in asks:
        with pytest.raises(TrustError, match="listed"):
            ask()
    with pytest.raises(TrustError, match="not listed as holder"):
        found.key_of("urn:atorga:party:town", "holder", now=NOW)


@pytest.mark.parametrize("period", [(NOW - DAY, NOW), (NOW + 1, NOW + DAY)], ids=["ended", "not-begun"])
def test_from_and_to_hold_for_every_lookup(period: tuple[int, int]) -> None:
    entry = CITY.issuer_entry(**{"from": period[0], "to": period[1]})
    found = CITY.verified(entry)
    asks: tuple[Callable[[], object], ...] = (
        lambda: found.party(entry["id"], now=NOW),
        lambda: found.key_of(entry["id"], "issuer", now=NOW),
        lambda: found.by_issuer(ISS, now=NOW),
        lambda: found.by_certificate(CITY.issuer.x5t, now=NOW),
    )
    for ask in asks:
        with pytest.raises(TrustError, match="another time"):
            ask()
    assert found.by_role("issuer", now=NOW) == []
    assert found.by_role("issuer", now=period[0]) != []


def test_stale_list_refuses_every_lookup() -> None:
    found = CITY.verified(CITY.issuer_entry(to=NOW + 30 * DAY))
    later = NOW + 3_600
    asks: tuple[Callable[[], object], ...] = (
        lambda: found.party("urn:atorga:party:town", now=later),
        lambda: found.by_role("issuer", now=later),
        lambda: found.by_issuer(ISS, now=later),
        lambda: found.by_certificate(CITY.issuer.x5t, now=later),
    )
    for ask in asks:
        with pytest.raises(TrustError, match="expired"):
            ask()


def test_no_older_version() -> None:
    compact = CITY.list(version=7)
    assert read(compact, minimum_version=7).version == 7
    with pytest.raises(TrustError, match="older than 8"):
        read(compact, minimum_version=8)


def test_time() -> None:
    with pytest.raises(TrustError, match="expired"):
        read(CITY.list(), now=NOW + 3_600)
    with pytest.raises(TrustError, match="future"):
        read(CITY.list(iat=NOW + 61))
    read(CITY.list(iat=NOW + 60))


def test_signed_by_somebody_else() -> None:
    forged = raw(
        claims(),
        by=Certified("registry", by=CITY.registry_root),
        header={"x5c": format_x5c([CITY.registry.der])},
    )
    with pytest.raises(TrustError, match="does not belong"):
        read(forged)
    stranger = Certified("stranger", ca=True)
    with pytest.raises(TrustError, match="certificate chain"):
        read(raw(claims(), by=Certified("registry", by=stranger)))


@pytest.mark.parametrize("names", [{"dns_names": ["a.example"]}, {"uris": ["https://a.example/"]}])
def test_certificate_of_a_party_signs_no_list(names: dict[str, Any]) -> None:
    with pytest.raises(TrustError, match="party's certificate"):
        read(raw(claims(), by=Certified("party", by=CITY.registry_root, **names)))


@pytest.mark.parametrize(
    "header",
    [{"typ": "jwt"}, {"alg": "none"}, {"alg": "ES384"}, {"kid": "x"}, {"x5c": []}, {"crit": ["x5c"]}],
)
def test_header_refused(header: dict[str, Any]) -> None:
    with pytest.raises(TrustError):
        read(raw(claims(), header=header))


def test_too_large() -> None:
    with pytest.raises(TrustError, match="at most 1048576"):
        read("a" * (rooms.MAX_BYTES + 1))
    with pytest.raises(TrustError, match="at most"):
        CITY.list(*[party(id=f"urn:atorga:party:n{n}", legal_entity="x" * 256) for n in range(1_500)])


def test_a_thousand_parties_are_read() -> None:
    jwk = CITY.party_key.public_key.jwk()
    assert len(CITY.verified(*[party(id=f"urn:atorga:party:n{n}", jwk=jwk) for n in range(1_000)]).parties) == 1_000


ENTRY = CITY.issuer_entry()
HASH = CITY.issuer.x5t
LONG = "x" * 257

FAULTS_OF_THE_LIST: dict[str, dict[str, Any]] = {
    "unknown": {"more": 1},
    "iss": {"iss": "registry"},
    "version 0": {"version": 0},
    "version text": {"version": "3"},
    "version true": {"version": True},
    "iat": {"iat": 1.5},
    "exp": {"exp": None},
    "exp before iat": {"exp": NOW - 11},
    "lives too long": {"exp": NOW - 10 + 31 * DAY + 1},
    "parties": {"parties": {}},
    "party": {"parties": ["x"]},
    "id twice": {"parties": [ENTRY, ENTRY | {"issuer": f"{ISS}2", "x5t#S256": []}]},
    "issuer twice": {"parties": [ENTRY, ENTRY | {"id": "urn:atorga:party:b", "x5t#S256": []}]},
    "certificate twice": {"parties": [ENTRY, party(id="urn:atorga:party:b") | {"x5t#S256": [HASH]}]},
}

FAULTS_OF_A_PARTY: dict[str, dict[str, Any]] = {
    "unknown": {"more": 1},
    "id form": {"id": "urn:other:party:town"},
    "id empty": {"id": "urn:atorga:party:"},
    "id not ascii": {"id": "urn:atorga:party:ñ"},
    "id newline": {"id": "urn:atorga:party:town\n"},
    "id long": {"id": "urn:atorga:party:" + "x" * 112},
    "roles none": {"roles": []},
    "roles unknown": {"roles": ["issuer", "status", "king"]},
    "roles twice": {"roles": ["issuer", "issuer"]},
    "roles text": {"roles": "issuer"},
    "name none": {"name": {}},
    "name text": {"name": "Town"},
    "name language": {"name": {"English!": "Town"}},
    "name empty": {"name": {"en": ""}},
    "name long": {"name": {"en": LONG}},
    "name many": {"name": {f"aa-{n}": "x" for n in range(25)}},
    "legal entity": {"legal_entity": LONG},
    "contact": {"contact": 1},
    "territory": {"territory": ""},
    "from": {"from": -1},
    "to": {"to": "tomorrow"},
    "from not before to": {"from": NOW, "to": NOW},
    "jwk of another curve": {"jwk": P384},
    "jwk private": {"jwk": SoftwareSigner.generate().private_jwk()},
    "jwk with kid": {"jwk": ENTRY["jwk"] | {"kid": "x"}},
    "jwk text": {"jwk": "key"},
    "hash short": {"x5t#S256": ["AAAA"]},
    "hash not b64": {"x5t#S256": ["=" * 43]},
    "hash twice": {"x5t#S256": [HASH, HASH]},
    "issuer http": {"issuer": "http://town.example/bcn"},
    "issuer query": {"issuer": "https://town.example/bcn?x"},
    "issuer fragment": {"issuer": "https://town.example/bcn#"},
    "issuer user": {"issuer": "https://a@town.example/"},
    "issuer dots": {"issuer": "https://town.example/../x"},
    "issuer space": {"issuer": "https://town.example/ x"},
    "issuer long": {"issuer": "https://town.example/" + "x" * 500},
    "issuer missing": {"issuer": None},
    "vcts empty": {"vcts": []},
    "vcts missing": {"vcts": None},
    "vct long": {"vcts": [LONG]},
    "prefixes empty": {"status_prefixes": []},
    "prefixes missing": {"status_prefixes": None},
    "prefix http": {"status_prefixes": ["http://town.example/status/"]},
    "log without key": {"roles": ["log"]},
    "log key": {"log_vkey": 1},
    "endpoint unknown": {"endpoints": {"admin": "https://town.example/"}},
    "endpoint http": {"endpoints": {"data": "http://town.example/data"}},
    "endpoint scheme": {"endpoints": {"data": "ftp://town.example/data"}},
    "endpoint number": {"endpoints": {"data": 1}},
    "endpoints list": {"endpoints": []},
}


@pytest.mark.parametrize("change", FAULTS_OF_THE_LIST.values(), ids=FAULTS_OF_THE_LIST.keys())
def test_list_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrustError):
        read(raw(claims(ENTRY) | change))
    with pytest.raises(TrustError):
        sign_registry(claims(ENTRY) | change, CITY.registry.signer, [CITY.registry.der])


@pytest.mark.parametrize("change", FAULTS_OF_A_PARTY.values(), ids=FAULTS_OF_A_PARTY.keys())
def test_party_refused(change: dict[str, Any]) -> None:
    entry = {name: value for name, value in (ENTRY | change).items() if value is not None}
    with pytest.raises(TrustError):
        read(raw(claims(entry)))


@pytest.mark.parametrize("name", sorted(party()))
def test_member_of_a_party_missing(name: str) -> None:
    entry = party()
    del entry[name]
    with pytest.raises(TrustError, match="missing"):
        read(raw(claims(entry)))


@pytest.mark.parametrize("name", sorted(claims()))
def test_member_of_the_list_missing(name: str) -> None:
    body = claims()
    del body[name]
    with pytest.raises(TrustError, match="missing"):
        read(raw(body))


@pytest.mark.parametrize("payload", ["[]", "{", '{"iss":1,"iss":1}', json.dumps(claims()) + "x"])
def test_payload_refused(payload: str) -> None:
    with pytest.raises(TrustError):
        read(raw(payload))


def test_log_and_witness() -> None:
    log, witness = (
        party(id=f"urn:atorga:party:{role}", roles=[role], log_vkey="a.example+1+x") for role in ("log", "witness")
    )
    assert [one.log_vkey for one in CITY.verified(log, witness).parties] == ["a.example+1+x"] * 2
    assert CITY.verified(party(roles=["witness"])).parties[0].log_vkey is None


def test_loopback_http_is_a_valid_address() -> None:
    entry = party(endpoints={"consent": "http://localhost:8101"})
    assert CITY.verified(entry).parties[0].endpoints["consent"] == "http://localhost:8101"


def test_signing_with_a_key_that_is_not_the_certificates() -> None:
    with pytest.raises(TrustError, match="does not belong"):
        sign_registry(claims(), SoftwareSigner.generate(), [CITY.registry.der])


def test_a_name_cannot_be_changed_after_verification() -> None:
    town = CITY.verified(CITY.issuer_entry()).parties[0]
    with pytest.raises(TypeError):
        town.name["en"] = "Other"  # type: ignore[index]
    with pytest.raises(TypeError):
        town.endpoints["data"] = "https://x.example/"  # type: ignore[index]


def test_header_is_exactly_what_the_wire_says() -> None:
    header = jws.parse(CITY.list(), max_bytes=rooms.MAX_BYTES).header
    assert list(header) == ["typ", "alg", "x5c"] and len(header["x5c"]) == 1
