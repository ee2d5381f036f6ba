"""Known answers of the signed list (WIRE C12), and what must be refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity.errors import TrustError
from identity.trust.chain import anchors_from_pem
from identity.trust.registry import VerifiedRegistry, verify_registry

LISTS = json.loads((Path(__file__).parent / "wire" / "lists.json").read_text())
KEYS = json.loads((Path(__file__).parent / "wire" / "keys.json").read_text())
NOW: int = LISTS["now"]


def read(compact: str) -> VerifiedRegistry:
    return verify_registry(compact, anchors=anchors_from_pem(LISTS["root_pem"].encode()), now=NOW)


def test_list() -> None:
    found, payload = read(LISTS["registry"]), LISTS["registry_payload"]
    assert (found.issuer, found.version, found.issued, found.expires) == tuple(
        payload[name] for name in ("iss", "version", "iat", "exp")
    )
    assert len(found.parties) == len(payload["parties"])
    for party, entry in zip(found.parties, payload["parties"], strict=True):
        assert found.party(entry["id"], now=NOW) is party
        assert party.roles == set(entry["roles"]) and party.name == entry["name"]
        assert party.public_key.jwk() == entry["jwk"]
        assert (party.valid_from, party.valid_to) == (entry["from"], entry["to"])
        assert (party.legal_entity, party.contact, party.territory) == tuple(
            entry[name] for name in ("legal_entity", "contact", "territory")
        )
        assert party.endpoints == entry.get("endpoints", {})
        assert (party.issuer, party.log_vkey) == (entry.get("issuer"), entry.get("log_vkey"))
        assert list(party.vcts) == entry.get("vcts", [])
        assert list(party.status_prefixes) == entry.get("status_prefixes", [])


def test_keys_are_the_parties_own() -> None:
    found = read(LISTS["registry"])
    named = {party_id: name for name, party_id in KEYS["parties"].items()}
    for party in found.parties:
        jwk = KEYS["keys"][named[party.id]]["jwk"]
        assert party.public_key.jwk() == {name: jwk[name] for name in ("kty", "crv", "x", "y")}


@pytest.mark.parametrize("case", LISTS["refused"], ids=lambda case: str(case["fault"]))
def test_refused(case: dict[str, Any]) -> None:
    with pytest.raises(TrustError):
        read(case["registry"])
