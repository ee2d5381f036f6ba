"""Two presentations by one resident share no value beyond what was asked (DESIGN section 9)."""

import json
from typing import Any

from identity.codec import base64url
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.openid4vp import dcql
from identity.openid4vp.match import evaluate
from tests.paper_city import CONSENT, IDS, NOW, PAIRWISE, PORTAL, RESIDENCY, RESIDENT, Copy, PaperCity

PEOPLE = {
    "resident": (RESIDENT, IDS),
    "neighbour": (RESIDENT | {"neighbourhood": "Vallcarca"}, {PORTAL: "x1", CONSENT: "x2"}),
}


def query(party: str) -> dcql.DcqlQuery:
    return dcql.parse(
        {
            "credentials": [
                {
                    "id": "id",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [PAIRWISE]},
                    "claims": [{"path": ["ids", party]}],
                },
                {
                    "id": "residency",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [RESIDENCY]},
                    "claims": [{"path": ["district"]}],
                },
            ]
        }
    )


def copies(city: PaperCity, person: str, index: int) -> list[Copy]:
    """One copy of each credential, as a batch has them: own key, own salts, own status index."""
    claims, ids = PEOPLE[person]
    return [
        city.issued(claims={"ids": ids}, disclosable=[("ids", party) for party in ids], vct=PAIRWISE),
        city.issued(
            claims=claims,
            disclosable=[(name,) for name in claims],
            status={"status_list": {"uri": "https://issuer.example/bcn/status/1", "idx": index}},
        ),
    ]


def values(text: str) -> set[str]:
    """Everything in a presentation that can be compared: each part, and each value inside each part."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                found.add(f"name {name}")
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
        else:
            found.add(json.dumps(node))

    issuer_signed, *disclosures, binding = text.split("~")
    for compact in (issuer_signed, binding):
        head, payload, signature = compact.split(".")
        found.add(signature)
        for part in (head, payload):
            walk(json.loads(base64url.decode(part)))
    for disclosure in disclosures:
        found.add(disclosure)
        walk(json.loads(base64url.decode(disclosure)))
    return found


def shown(city: PaperCity, person: str, index: int, verifier: str, party: str) -> set[str]:
    held = copies(city, person, index)
    peeked = [peek(copy.credential) for copy in held]
    found = evaluate(query(party), peeked)
    everything: set[str] = set()
    for query_id in found.needed:
        candidate = found.candidates[query_id][0]
        copy = held[peeked.index(candidate.credential)]
        everything |= values(
            present(
                copy.credential,
                disclose=candidate.match.claims,
                audience=f"x509_hash:{verifier}",
                nonce=f"nonce of {verifier}",
                now=NOW,
                holder=copy.key,
            )
        )
    return everything


def test_two_verifiers_have_nothing_to_join_on(city: PaperCity) -> None:
    portal = shown(city, "resident", 3, "portal", PORTAL)
    consent = shown(city, "resident", 90_211, "consent", CONSENT)
    neighbour = shown(city, "neighbour", 17, "consent", CONSENT)
    assert len(portal) > 30
    # What everybody's presentation has says nothing about anybody.
    everybodys = portal & neighbour
    assert json.dumps(RESIDENT["district"]) in everybodys
    assert portal & consent - everybodys == set()


def test_the_search_finds_what_is_shared(city: PaperCity) -> None:
    """One copy shown twice: its signature, key, digests and salts are all there to join on."""
    copy = city.residency()
    one, two = (
        values(present(copy.credential, disclose=[("district",)], audience=to, nonce=to, now=NOW, holder=copy.key))
        for to in ("a", "b")
    )
    neighbour = shown(city, "neighbour", 17, "consent", CONSENT)
    assert len(one & two - neighbour) > 5


def test_what_each_learns(city: PaperCity) -> None:
    portal = shown(city, "resident", 3, "portal", PORTAL)
    assert json.dumps(IDS[PORTAL]) in portal
    for hidden in (IDS[CONSENT], RESIDENT["neighbourhood"], RESIDENT["municipality"], RESIDENT["resident_since"]):
        assert json.dumps(hidden) not in portal
