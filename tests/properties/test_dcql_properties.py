"""Queries round-trip; a wallet never discloses more than a query selects; nobody's input raises anything else."""

import json
import secrets
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from identity.errors import IdentityError, ProtocolError
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import dcql, form, link, respond, wallet_metadata
from identity.openid4vp.check import check_presentation
from identity.openid4vp.match import match, pick

ISSUER, HOLDER = SoftwareSigner.generate(), SoftwareSigner.generate()
NOW = 1_800_000_000
VCT = "urn:example:1"

ids = st.text("abcXYZ019_-", min_size=1, max_size=8)
names = st.sampled_from(["a", "b", "c", "d"])
paths = st.lists(names | st.none() | st.integers(0, 2), min_size=1, max_size=3)
values = st.lists(st.text(max_size=3) | st.integers(-5, 5) | st.booleans(), min_size=1, max_size=3)


@st.composite
def claim_queries(draw: Any) -> list[dict[str, Any]]:
    found = draw(st.lists(paths, min_size=1, max_size=4, unique_by=tuple))
    made = []
    for number, path in enumerate(found):
        claim: dict[str, Any] = {"id": f"c{number}", "path": path}
        if draw(st.booleans()):
            claim["values"] = draw(values)
        made.append(claim)
    return made


@st.composite
def credential_queries(draw: Any, query_id: str = "q") -> dict[str, Any]:
    obj: dict[str, Any] = {"id": query_id, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}}
    if draw(st.booleans()):
        obj["multiple"] = True
    if draw(st.booleans()):
        obj["claims"] = draw(claim_queries())
        known = [claim["id"] for claim in obj["claims"]]
        if draw(st.booleans()):
            obj["claim_sets"] = draw(
                st.lists(st.lists(st.sampled_from(known), min_size=1, unique=True), min_size=1, max_size=3)
            )
    return obj


@st.composite
def queries(draw: Any) -> dict[str, Any]:
    known = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    obj: dict[str, Any] = {"credentials": [draw(credential_queries(query_id=one)) for one in known]}
    if draw(st.booleans()):
        options = st.lists(st.lists(st.sampled_from(known), min_size=1, unique=True), min_size=1, max_size=2)
        obj["credential_sets"] = [{"options": option} for option in draw(st.lists(options, min_size=1, max_size=2))]
    return obj


@given(queries())
def test_queries_round_trip(obj: dict[str, Any]) -> None:
    read = dcql.parse(obj)
    assert dcql.format(read) == obj
    assert dcql.parse(json.loads(json.dumps(dcql.format(read)))) == read


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=12), child, max_size=3),
    max_leaves=8,
)


@st.composite
def broken_queries(draw: Any) -> Any:
    """A query in which one member, somewhere, is something else."""
    obj = json.loads(json.dumps(draw(queries())))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(obj)
    node, key = draw(st.sampled_from(places))
    node[key] = draw(anything)
    return obj


@given(anything | broken_queries())
def test_whatever_comes_is_read_or_refused_with_our_error(obj: Any) -> None:
    try:
        read = dcql.parse(obj)
    except ProtocolError:
        return
    assert dcql.parse(dcql.format(read)) == read


scalars = st.text(max_size=3) | st.integers(-5, 5) | st.booleans()
claims = st.dictionaries(
    names,
    scalars | st.lists(scalars, min_size=1, max_size=3) | st.dictionaries(names, scalars, min_size=1, max_size=3),
    min_size=1,
)


def leaves(value: Any, at: Location = ()) -> list[Location]:
    if isinstance(value, dict) and value:
        return [found for name, child in value.items() for found in leaves(child, (*at, name))]
    if isinstance(value, list) and value:
        return [found for index, child in enumerate(value) for found in leaves(child, (*at, index))]
    return [at]


@given(claims, credential_queries())
@settings(max_examples=150)
def test_what_is_presented_is_what_was_asked(held: dict[str, Any], obj: dict[str, Any]) -> None:
    """Through issuer, wallet and verifier: nothing beside the query comes out, and its own check accepts it."""
    query = dcql.parse({"credentials": [obj]})
    text = issue(
        claims=held,
        disclosable=leaves(held),
        vct=VCT,
        issuer="https://issuer.example",
        signer=ISSUER,
        holder_key=HOLDER.public_key,
        iat=NOW,
        exp=NOW + 60,
        random=secrets.token_bytes,
    )
    copy = peek(text)
    found = match(query.credentials[0], copy)
    if found is None:
        return
    presentation = present(text, disclose=found.claims, audience="c", nonce="n", now=NOW, holder=HOLDER)
    shown = peek(presentation)
    # No disclosure but those of the selected claims: counted, since elements move up.
    selected = [leaf for leaf in copy.disclosable if any(leaf[: len(claim)] == claim for claim in found.claims)]
    assert len(shown.disclosable) == len(selected)
    if any(isinstance(component, int) for claim in query.credentials[0].claims for component in claim.path):
        return  # an index counts the elements that are there: see the module's word on hidden elements
    checked = check_presentation(
        {"q": [presentation]},
        query,
        issuer_key=lambda *_: ISSUER.public_key,
        status_check=None,
        client_id="c",
        nonce="n",
        now=NOW,
    )
    one = checked.credentials["q"][0]
    assert one.extra == ()
    assert one.claims == (pick(copy.claims, found.claims) if found.claims else {})


@given(st.dictionaries(st.text(max_size=8).filter(bool), st.text(max_size=20), max_size=8))
def test_forms_round_trip(fields: dict[str, str]) -> None:
    assert form.parse(form.format(fields), what="form", max_bytes=100_000) == fields


@given(st.binary(max_size=200))
def test_no_body_raises_anything_else(body: bytes) -> None:
    for mode in ("direct_post", "direct_post.jwt"):
        with suppress(IdentityError):
            respond.parse_response(body, response_mode=mode, private_jwk=HOLDER.private_jwk(), kid="k")
    with suppress(IdentityError):
        wallet_metadata.parse(body)


@given(st.text(max_size=100) | st.text(max_size=60).map(lambda rest: f"openid4vp://?client_id=a&{rest}"))
def test_no_link_raises_anything_else(text: str) -> None:
    try:
        read = link.parse(text)
    except ProtocolError:
        return
    assert link.parse(link.format(read)) == read
