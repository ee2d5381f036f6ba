"""Reading a query: what a verifier may write, and what is refused before anybody sees it."""

import copy
from typing import Any

import pytest

from identity.errors import ProtocolError
from identity.openid4vp import dcql

CLAIM: dict[str, Any] = {"path": ["district"]}
CREDENTIAL: dict[str, Any] = {
    "id": "residency",
    "format": "dc+sd-jwt",
    "meta": {"vct_values": ["urn:atorga:residency:1"]},
    "claims": [CLAIM],
}


def query(**credential: Any) -> dict[str, Any]:
    return {"credentials": [copy.deepcopy(CREDENTIAL) | credential]}


def test_defaults() -> None:
    read = dcql.parse(query()).credentials[0]
    assert (read.multiple, read.require_cryptographic_holder_binding) == (False, True)
    assert (read.trusted_authorities, read.claim_sets) == ((), ())
    assert read.vct_values == ("urn:atorga:residency:1",)
    assert read.claims == (dcql.ClaimsQuery(None, ("district",), None),)


def test_everything_is_read_and_written_again() -> None:
    obj = {
        "credentials": [
            query(
                multiple=True,
                require_cryptographic_holder_binding=False,
                trusted_authorities=[{"type": "aki", "values": ["abc"]}],
                claims=[
                    {"id": "a", "path": ["ids", None], "values": ["x", 1, True]},
                    {"id": "b", "path": ["list", 0, "name"]},
                ],
                claim_sets=[["a"], ["a", "b"]],
            )["credentials"][0],
            {"id": "licence", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}},
        ],
        "credential_sets": [
            {"options": [["residency"], ["licence"]]},
            {"options": [["licence", "residency"]], "required": False},
        ],
    }
    assert dcql.format(dcql.parse(obj)) == obj


def test_unknown_members_are_ignored() -> None:
    obj = query(claims=[CLAIM | {"later": 1}], later=[]) | {"later": {}}
    assert dcql.format(dcql.parse(obj)) == query()


def test_another_format_has_no_types() -> None:
    read = dcql.parse({"credentials": [{"id": "x", "format": "mso_mdoc", "meta": {}}]}).credentials[0]
    assert read.vct_values == ()


def test_a_bool_is_a_value_of_its_own() -> None:
    read = dcql.parse(query(claims=[{"path": ["a"], "values": [True]}])).credentials[0]
    assert read.claims[0].values == (True,)


SETS = {"options": [["residency"]]}

REFUSED: dict[str, Any] = {
    "no object": [],
    "no credentials": {},
    "empty credentials": {"credentials": []},
    "too many credentials": {"credentials": [CREDENTIAL | {"id": f"c{n}"} for n in range(17)]},
    "credential no object": {"credentials": ["x"]},
    "an id twice": {"credentials": [CREDENTIAL, CREDENTIAL]},
    "id missing": {"credentials": [{name: CREDENTIAL[name] for name in ("format", "meta")}]},
    "id with a space": query(id="a b"),
    "id with a newline": query(id="a\n"),
    "id too long": query(id="a" * 129),
    "format no text": query(format=1),
    "meta missing": {"credentials": [{"id": "x", "format": "dc+sd-jwt"}]},
    "vct_values missing": query(meta={}),
    "vct_values empty": query(meta={"vct_values": []}),
    "vct_values no list": query(meta={"vct_values": "urn:x"}),
    "multiple no boolean": query(multiple=1),
    "holder binding no boolean": query(require_cryptographic_holder_binding="no"),
    "claims empty": query(claims=[]),
    "too many claims": query(claims=[{"path": [f"c{n}"]} for n in range(65)]),
    "a claim twice": query(claims=[CLAIM, CLAIM]),
    "path missing": query(claims=[{}]),
    "path empty": query(claims=[{"path": []}]),
    "path too long": query(claims=[{"path": ["a"] * 17}]),
    "path negative": query(claims=[{"path": ["a", -1]}]),
    "path boolean": query(claims=[{"path": [True]}]),
    "path number": query(claims=[{"path": [1.5]}]),
    "values empty": query(claims=[CLAIM | {"values": []}]),
    "values null": query(claims=[CLAIM | {"values": None}]),
    "values of objects": query(claims=[CLAIM | {"values": [{}]}]),
    "values of floats": query(claims=[CLAIM | {"values": [1.5]}]),
    "too many values": query(claims=[CLAIM | {"values": list(range(65))}]),
    "claim id twice": query(claims=[{"id": "a", "path": ["x"]}, {"id": "a", "path": ["y"]}]),
    "claim id of spaces": query(claims=[CLAIM | {"id": " "}]),
    "claim_sets without ids": query(claim_sets=[["a"]]),
    "claim_sets where a claim has no id": query(
        claims=[{"id": "a", "path": ["x"]}, {"path": ["y"]}], claim_sets=[["a"]]
    ),
    "claim_sets without claims": {
        "credentials": [{n: v for n, v in CREDENTIAL.items() if n != "claims"} | {"claim_sets": [["a"]]}]
    },
    "claim_sets empty": query(claims=[CLAIM | {"id": "a"}], claim_sets=[]),
    "claim_sets of nothing": query(claims=[CLAIM | {"id": "a"}], claim_sets=[[]]),
    "claim_sets unknown": query(claims=[CLAIM | {"id": "a"}], claim_sets=[["b"]]),
    "authorities empty": query(trusted_authorities=[]),
    "authorities without values": query(trusted_authorities=[{"type": "aki"}]),
    "authorities without type": query(trusted_authorities=[{"values": ["x"]}]),
    "sets empty": query() | {"credential_sets": []},
    "sets without options": query() | {"credential_sets": [{}]},
    "sets of unknown": query() | {"credential_sets": [{"options": [["other"]]}]},
    "sets with an id twice": query() | {"credential_sets": [{"options": [["residency", "residency"]]}]},
    "required no boolean": query() | {"credential_sets": [SETS | {"required": 0}]},
    "too many sets": query() | {"credential_sets": [SETS] * 17},
    "too many options": query() | {"credential_sets": [{"options": [["residency"]] * 17}]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        dcql.parse(REFUSED[name])
    assert caught.value.code == "invalid_request"
