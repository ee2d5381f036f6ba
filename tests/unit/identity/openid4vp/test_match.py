"""Which copy satisfies what, and which claims it would show."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509

from identity.openid4vp import dcql
from identity.openid4vp.match import (
    Match,
    authority_key_identifiers,
    evaluate,
    match,
    pick,
    unsatisfied,
)
from tests.unit.identity.trust.conftest import Certified

VCT = "urn:atorga:residency:1"


@dataclass(frozen=True)
class Held:
    vct: str = VCT
    aka_vcts: tuple[str, ...] = ()
    claims: dict[str, Any] = field(
        default_factory=lambda: {
            "district": "Gràcia",
            "municipality": "Barcelona",
            "languages": ["ca", "es", "en"],
            "age": {"18": True, "65": False, "exact": 1},
        }
    )
    header: Mapping[str, Any] = field(default_factory=dict)


def asked(*claims: dict[str, Any], **more: Any) -> dcql.CredentialQuery:
    obj: dict[str, Any] = {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, **more}
    if claims:
        obj["claims"] = list(claims)
    return dcql.parse({"credentials": [obj]}).credentials[0]


def test_claims_are_found_by_path() -> None:
    found = match(asked({"path": ["age", "18"]}, {"path": ["district"]}), Held())
    assert found == Match(VCT, (("age", "18"), ("district",)))


def test_without_claims_nothing_is_disclosed() -> None:
    assert match(asked(), Held()) == Match(VCT, ())


def test_another_claim_before_it_moves_nothing() -> None:
    """Selection is by path: a claim more in the credential changes no choice."""
    wider = Held(claims={"aaa": 1} | Held().claims)
    query = asked({"path": ["district"]})
    assert match(query, Held()) == match(query, wider)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (["languages", None], (("languages", 0), ("languages", 1), ("languages", 2))),
        (["languages", 1], (("languages", 1),)),
        (["languages"], (("languages",),)),
        (["languages", 3], None),
        (["languages", "ca"], None),
        (["district", "x"], None),
        (["district", None], None),
        (["nothing"], None),
    ],
)
def test_paths(path: list[Any], found: Any) -> None:
    expected = None if found is None else Match(VCT, found)
    assert match(asked({"path": path}), Held()) == expected


@pytest.mark.parametrize(
    ("path", "values", "satisfied"),
    [
        (["district"], ["Gràcia", "Sants"], True),
        (["district"], ["Sants"], False),
        (["district"], ["gràcia"], False),
        (["age", "18"], [True], True),
        (["age", "18"], [1], False),
        (["age", "65"], [0], False),
        (["age", "exact"], [1], True),
        (["age", "exact"], [True], False),
        (["age", "exact"], ["1"], False),
    ],
)
def test_type_and_value_match_exactly(path: list[str], values: list[Any], satisfied: bool) -> None:
    assert (match(asked({"path": path, "values": values}), Held()) is not None) == satisfied


def test_of_an_array_only_matching_elements_are_disclosed() -> None:
    found = match(asked({"path": ["languages", None], "values": ["es"]}), Held())
    assert found == Match(VCT, (("languages", 1),))


def test_another_type_or_format_is_no_match() -> None:
    assert match(asked(), Held(vct="urn:other")) is None
    other = dcql.parse({"credentials": [{"id": "q", "format": "mso_mdoc", "meta": {"vct_values": [VCT]}}]})
    assert match(other.credentials[0], Held()) is None


def test_a_further_type_of_the_credential_counts_and_is_named() -> None:
    found = match(asked(), Held(vct="urn:new", aka_vcts=(VCT,)))
    assert found == Match(VCT, ())


def test_the_first_claim_set_that_fits_is_taken() -> None:
    query = asked(
        {"id": "exact", "path": ["birthdate"]},
        {"id": "adult", "path": ["age", "18"]},
        {"id": "district", "path": ["district"]},
        claim_sets=[["exact", "district"], ["adult", "district"], ["adult"]],
    )
    assert match(query, Held()) == Match(VCT, (("age", "18"), ("district",)))
    assert match(query, Held(claims={"district": "x"})) is None


def test_authorities() -> None:
    root = Certified("root", ca=True)
    key_identifier = x509.AuthorityKeyIdentifier(b"\x01\x02\x03", None, None)
    signer = Certified("signer", by=root, extensions=[(key_identifier, False)])
    header = {"x5c": [b64encode(signer.der).decode()]}
    assert authority_key_identifiers(header) == {"AQID"}

    def query(kind: str, value: str) -> dcql.CredentialQuery:
        return asked(trusted_authorities=[{"type": kind, "values": [value]}])

    assert match(query("aki", "AQID"), Held(header=header)) is not None
    assert match(query("aki", "AQIE"), Held(header=header)) is None
    assert match(query("aki", "AQID"), Held()) is None
    assert match(query("etsi_tl", "AQID"), Held(header=header)) is None


@pytest.mark.parametrize(
    "entry",
    [7, "!!", b64encode(b"no certificate").decode(), b64encode(Certified().der).decode()],
    ids=["a number", "no base64", "no certificate", "no authority named"],
)
def test_certificates_that_name_no_authority_are_passed_over(entry: Any) -> None:
    assert authority_key_identifiers({"x5c": [entry]}) == set()


def sets(*credential_sets: dict[str, Any], ids: str = "abc") -> dcql.DcqlQuery:
    credentials = [{"id": one, "format": "dc+sd-jwt", "meta": {"vct_values": [f"urn:{one}"]}} for one in ids]
    obj: dict[str, Any] = {"credentials": credentials}
    if credential_sets:
        obj["credential_sets"] = list(credential_sets)
    return dcql.parse(obj)


A, B, C = (Held(vct=f"urn:{one}") for one in "abc")


def test_every_credential_is_needed_without_sets() -> None:
    found = evaluate(sets(ids="ab"), [B, A])
    assert (found.needed, found.missing, found.optional) == (("a", "b"), (), ())
    assert found.candidates["a"][0].credential is A
    assert evaluate(sets(ids="ab"), [A]).missing == ("b",)


def test_candidates_keep_the_order_of_preference() -> None:
    second = Held(vct="urn:a")
    found = evaluate(sets(ids="a"), [A, second])
    assert [one.credential for one in found.candidates["a"]] == [A, second]


def test_the_first_option_that_can_be_answered_is_needed() -> None:
    query = sets({"options": [["a"], ["b", "c"]]}, {"options": [["c"]], "required": False})
    assert (evaluate(query, [A]).needed, evaluate(query, [A]).optional) == (("a",), ())
    everything = evaluate(query, [A, B, C])
    assert (everything.needed, everything.optional) == (("a",), ("c",))
    without_a = evaluate(query, [B, C])
    assert (without_a.needed, without_a.optional, without_a.missing) == (("b", "c"), (), ())
    assert evaluate(query, [B]).missing == ("a",)


@pytest.mark.parametrize(
    ("answered", "fits"),
    [
        (["a"], True),
        (["b", "c"], True),
        (["a", "c"], True),
        (["a", "b", "c"], True),
        (["b"], False),
        (["c"], False),
        ([], False),
        (["a", "b"], False),
    ],
)
def test_sets_as_a_verifier_sees_them(answered: list[str], fits: bool) -> None:
    """Everything required is there, and nothing that no option needs."""
    query = sets({"options": [["a"], ["b", "c"]]}, {"options": [["c"]], "required": False})
    assert (unsatisfied(query, answered) is None) == fits


def test_without_sets_all_must_come() -> None:
    assert unsatisfied(sets(ids="ab"), ["a", "b"]) is None
    assert "'b'" in str(unsatisfied(sets(ids="ab"), ["a"]))


def test_pick_takes_what_was_asked_and_nothing_beside_it() -> None:
    claims = Held().claims
    assert pick(claims, [("district",)]) == {"district": "Gràcia"}
    assert pick(claims, [("age", "18")]) == {"age": {"18": True}}
    assert pick(claims, [("languages", 2), ("languages", 0)]) == {"languages": ["ca", "en"]}
    assert pick(claims, [("age",), ("age", "18")]) == {"age": claims["age"]}
    assert pick(claims, []) == {}
