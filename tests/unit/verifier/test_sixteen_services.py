"""Sixteen services know one resident under sixteen names, and what is said to one is void at another."""

import secrets
from typing import Any

import pytest

from identity.errors import IdentityError, SdJwtError
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.issuer.pairwise import identifiers
from identity.issuer.person import Person
from identity.keys.keyed_hash import InProcessKeyedHash
from identity.openid4vp import dcql
from identity.openid4vp.check import VerifiedPresentation, check_presentation
from tests.paper_city import NOW, PAIRWISE, Copy, PaperCity

SERVICES = tuple(f"urn:atorga:party:service-{number}" for number in range(1, 17))
SCOPE = "bcn/pairwise"


@pytest.fixture(scope="module")
def keyed_hash() -> InProcessKeyedHash:
    return InProcessKeyedHash({SCOPE: bytes(range(32))})


def person(number: str) -> Person:
    return Person(number, "Mireia", "Puig Soler", None, "high")


def copy_of(city: PaperCity, ids: dict[str, str]) -> Copy:
    return city.issued(claims={"ids": ids}, disclosable=[("ids", service) for service in ids], vct=PAIRWISE)


def query(service: str) -> dcql.DcqlQuery:
    asked = {
        "id": "id",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": [PAIRWISE]},
        "claims": [{"path": ["ids", service]}],
    }
    return dcql.parse({"credentials": [asked]})


def token_for(copy: Copy, service: str, nonce: str) -> dict[str, list[str]]:
    disclosed = present(
        copy.credential, disclose=[("ids", service)], audience=service, nonce=nonce, now=NOW, holder=copy.key
    )
    return {"id": [disclosed]}


def check(city: PaperCity, vp_token: Any, service: str, nonce: str) -> VerifiedPresentation:
    return check_presentation(
        vp_token, query(service), issuer_key=city.issuers.issuer_key, status_check=city.revocations, client_id=service,
        nonce=nonce, now=NOW,
    )  # fmt: skip


def test_sixteen_services_know_sixteen_names(city: PaperCity, keyed_hash: InProcessKeyedHash) -> None:
    mine = identifiers(person("00000001R"), SERVICES, keyed_hash, SCOPE)
    theirs = identifiers(person("00000002W"), SERVICES, keyed_hash, SCOPE)
    learnt = []
    for service in SERVICES:
        nonce = secrets.token_urlsafe(16)
        copy = copy_of(city, mine)
        shown = check(city, token_for(copy, service, nonce), service, nonce)
        assert shown.claims == {"id": [{"ids": {service: mine[service]}}]}
        assert peek(copy.credential).claims["ids"].keys() == set(SERVICES), "the rest was there and stayed hidden"
        learnt.append(shown.claims["id"][0]["ids"][service])
    assert len(set(learnt)) == 16
    assert not set(learnt) & set(theirs.values())
    assert identifiers(person("00000001R"), SERVICES, keyed_hash, SCOPE) == mine, (
        "a lost wallet gets the same ones again"
    )


def test_a_token_of_one_is_refused_by_another(city: PaperCity, keyed_hash: InProcessKeyedHash) -> None:
    mine = identifiers(person("00000001R"), SERVICES, keyed_hash, SCOPE)
    nonce = secrets.token_urlsafe(16)
    for service, other in zip(SERVICES, SERVICES[1:] + SERVICES[:1], strict=True):
        vp_token = token_for(copy_of(city, mine), service, nonce)
        # Under the nonce that the other drew, too: a service that hands it on gains nothing.
        with pytest.raises(SdJwtError, match="aud"):
            check(city, vp_token, other, nonce)


def test_made_for_another_and_still_without_its_name(city: PaperCity, keyed_hash: InProcessKeyedHash) -> None:
    """Who gets a wallet to sign for it, with another's identifier inside, asked for something else."""
    mine = identifiers(person("00000001R"), SERVICES, keyed_hash, SCOPE)
    copy, nonce = copy_of(city, mine), secrets.token_urlsafe(16)
    disclosed = present(
        copy.credential, disclose=[("ids", SERVICES[0])], audience=SERVICES[1], nonce=nonce, now=NOW, holder=copy.key
    )
    with pytest.raises(IdentityError, match="id"):
        check(city, {"id": [disclosed]}, SERVICES[1], nonce)
