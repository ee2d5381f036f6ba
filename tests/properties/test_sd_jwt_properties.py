"""Round trips, minimal disclosure, and no bit that can be changed."""

import copy
import itertools
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from identity.errors import IdentityError, SdJwtError
from identity.formats.sd_jwt import compact, json_serialization
from identity.formats.sd_jwt import verify as core
from identity.formats.sd_jwt.claim_path import Location, select
from identity.formats.sd_jwt.issue import conceal, issue
from identity.formats.sd_jwt.present import present
from identity.formats.sd_jwt.processing import process
from identity.formats.sd_jwt_vc.issue import issue as issue_vc
from identity.formats.sd_jwt_vc.present import present as present_vc
from identity.formats.sd_jwt_vc.verify import verify as verify_vc
from identity.keys.signer import SoftwareSigner

ISSUER = SoftwareSigner.generate()
HOLDER = SoftwareSigner.generate()
NOW = 1_800_000_000

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
    lambda name: name not in ("_sd", "...", "_sd_alg")
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
values = st.recursive(
    scalars, lambda child: st.lists(child, max_size=4) | st.dictionaries(names, child, max_size=4), max_leaves=12
)
claim_sets = st.dictionaries(names, values, min_size=1, max_size=6)


def locations(value: Any, at: Location = ()) -> list[Location]:
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    return [(*at, name) for name, _ in children] + [
        found for name, child in children for found in locations(child, (*at, name))
    ]


@st.composite
def concealed(draw: Any) -> tuple[dict[str, Any], list[Location]]:
    claims = draw(claim_sets)
    everywhere = locations(claims)
    return claims, draw(st.lists(st.sampled_from(everywhere), unique=True, max_size=len(everywhere)))


@given(concealed(), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_concealing_and_processing_are_a_pair(case: tuple[dict[str, Any], list[Location]], decoys: int) -> None:
    claims, disclosable = case
    before = copy.deepcopy(claims)
    payload, disclosures = conceal(claims, disclosable, random=Random(1).randbytes, decoys=decoys)
    assert claims == before
    processed = process(payload, disclosures)
    assert processed.claims == claims
    assert set(processed.disclosures) == set(disclosable)


@given(concealed(), st.data())
@settings(max_examples=150, deadline=None)
def test_exactly_the_chosen_is_disclosed(case: tuple[dict[str, Any], list[Location]], data: st.DataObject) -> None:
    claims, disclosable = case
    chosen = data.draw(st.lists(st.sampled_from(locations(claims)), unique=True, max_size=3))
    parts = compact.parse(issue(claims, disclosable, ISSUER, typ=None, random=Random(1).randbytes, decoys=1))
    shown = compact.parse(present(parts, chosen))
    # What must be there: the chosen, what is inside it, and what leads to it.
    needed = {
        place
        for place in disclosable
        for target in chosen
        if place[: len(target)] == target or target[: len(place)] == place
    }
    everything = process(parts.payload, parts.disclosures)
    assert set(shown.disclosures) == {everything.disclosures[place].encoded for place in needed}
    seen = core.verify(shown, ISSUER.public_key, typ=None)
    assert len(seen.disclosed) == len(needed)


@given(concealed())
@settings(max_examples=50, deadline=None)
def test_choice_does_not_depend_on_the_order_of_disclosures(case: tuple[dict[str, Any], list[Location]]) -> None:
    claims, disclosable = case
    assume(disclosable)
    parts = compact.parse(issue(claims, disclosable, ISSUER, typ=None, random=Random(1).randbytes))
    turned = compact.parse(compact.format(parts.issuer_jwt.compact, parts.disclosures[::-1]))
    one, other = (compact.parse(present(each, [disclosable[0]])).disclosures for each in (parts, turned))
    assert set(one) == set(other)


@given(concealed())
@settings(max_examples=50, deadline=None)
def test_serializations_are_pairs(case: tuple[dict[str, Any], list[Location]]) -> None:
    claims, disclosable = case
    text = issue(claims, disclosable, ISSUER, typ=None, random=Random(1).randbytes)
    parts = compact.parse(text)
    assert compact.format(parts.issuer_jwt.compact, parts.disclosures) == text
    assert json_serialization.parse(json_serialization.format_flattened(text)) == (parts,)
    assert json_serialization.parse(json_serialization.format_general(text)) == (parts,)


@given(claim_sets)
@settings(max_examples=50, deadline=None)
def test_a_path_selects_the_claim_it_names(claims: dict[str, Any]) -> None:
    for location in locations(claims):
        assert select(claims, location) == [location]


@given(st.text(max_size=200) | st.from_regex(r"[\w.-]*(~[\w-]*){0,4}", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_noise_is_refused_by_name(text: str) -> None:
    with pytest.raises(IdentityError):
        core.verify(compact.parse(text), ISSUER.public_key, typ=None)


CREDENTIAL = issue_vc(
    claims={"given_name": "Ada", "home": {"city": "Manresa"}, "in": ["ES"]},
    disclosable=[("given_name",), ("home",), ("home", "city"), ("in", None)],
    vct="urn:example:1",
    issuer="https://issuer.example",
    signer=ISSUER,
    holder_key=HOLDER.public_key,
    iat=NOW,
    exp=NOW + 60,
    random=Random(1).randbytes,
)
PRESENTATION = present_vc(
    CREDENTIAL, disclose=[("home", "city"), ("in", 0)], audience="a", nonce="n", now=NOW, holder=HOLDER
)


def accept(text: str) -> None:
    verify_vc(text, issuer_key=lambda *_: ISSUER.public_key, audience="a", nonce="n", now=NOW)


def test_every_single_bit_counts() -> None:
    accept(PRESENTATION)
    raw = PRESENTATION.encode()
    for position, bit in itertools.product(range(len(raw)), range(7)):
        changed = bytearray(raw)
        changed[position] ^= 1 << bit
        with pytest.raises(IdentityError):
            accept(changed.decode())


@given(st.integers(0, len(PRESENTATION) - 1), st.integers(1, 40), st.text(max_size=3))
@settings(max_examples=200, deadline=None)
def test_no_part_can_be_cut_or_replaced(start: int, length: int, instead: str) -> None:
    changed = PRESENTATION[:start] + instead + PRESENTATION[start + length :]
    assume(changed != PRESENTATION)
    with pytest.raises(IdentityError):
        accept(changed)


@given(st.permutations(PRESENTATION.split("~")[1:-1]))
def test_disclosures_of_a_presentation_keep_their_order(order: list[str]) -> None:
    first, *middle, last = PRESENTATION.split("~")
    if order == middle:
        return
    with pytest.raises(SdJwtError, match="sd_hash"):
        accept("~".join([first, *order, last]))
