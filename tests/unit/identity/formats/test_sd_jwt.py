"""Everything by which an SD-JWT can break RFC 9901, refused by name."""

import json
from hashlib import sha256, sha512
from random import Random
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import EnvelopeError, SdJwtError
from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt import verify as core
from identity.formats.sd_jwt.issue import issue
from identity.formats.sd_jwt.present import bind, present
from identity.formats.sd_jwt.spec import MAX_DISCLOSURES
from identity.keys.signer import SoftwareSigner

ISSUER = SoftwareSigner.generate()
HOLDER = SoftwareSigner.generate()
OTHER = SoftwareSigner.generate()
NOW = 1_800_000_000


def disclosure(*parts: Any) -> str:
    return base64url.encode(json.dumps(parts).encode())


def digest(encoded: str) -> str:
    return base64url.encode(sha256(encoded.encode()).digest())


def signed(payload: dict[str, Any], *disclosures: str, key_binding: str = "") -> str:
    return compact.format(jws.sign(payload, ISSUER, typ="sd+jwt"), disclosures, key_binding)


def verified(text: str) -> core.VerifiedSdJwt:
    return core.verify(compact.parse(text), ISSUER.public_key, typ="sd+jwt")


NAME = disclosure("salt-1", "name", "Ada")
CITY = disclosure("salt-2", "city", "Manresa")
ELEMENT = disclosure("salt-3", "ES")


def test_property_and_element_are_put_in_place() -> None:
    text = signed({"_sd": [digest(NAME), digest("a decoy")], "in": ["FR", {"...": digest(ELEMENT)}]}, NAME, ELEMENT)
    seen = verified(text)
    assert seen.claims == {"name": "Ada", "in": ["FR", "ES"]}
    assert set(seen.disclosed) == {("name",), ("in", 1)}


def test_undisclosed_claims_leave_nothing_behind() -> None:
    payload = {"_sd": [digest(NAME)], "in": [{"...": digest(ELEMENT)}], "of": {"_sd": []}, "_sd_alg": "sha-256"}
    assert verified(signed(payload)).claims == {"in": [], "of": {}}


def test_hash_function_of_the_issuer_is_used() -> None:
    wide = base64url.encode(sha512(NAME.encode()).digest())
    assert verified(signed({"_sd": [wide], "_sd_alg": "sha-512"}, NAME)).claims == {"name": "Ada"}


RECURSIVE = disclosure("salt-4", "home", {"_sd": [digest(CITY)], "country": "ES"})
CLASH = disclosure("salt-5", "name", "Eve")
NESTED_ALG = disclosure("salt-6", "home", {"_sd_alg": "sha-256"})

REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "unknown _sd_alg": ({"_sd_alg": "md5"}, [], "_sd_alg must be one of"),
    "truncated _sd_alg": ({"_sd_alg": "sha-256-32"}, [], "_sd_alg must be one of"),
    "_sd_alg no text": ({"_sd_alg": None}, [], "_sd_alg must be one of"),
    "_sd_alg nested": ({"of": {"_sd_alg": "sha-256"}}, [], "'_sd_alg' where a claim"),
    "_sd_alg nested in a disclosure": ({"_sd": [digest(NESTED_ALG)]}, [NESTED_ALG], "'_sd_alg' where a claim"),
    "_sd is a text": ({"_sd": digest(NAME)}, [NAME], "must be a list of digests"),
    "_sd is null": ({"_sd": None}, [], "must be a list of digests"),
    "_sd holds a number": ({"_sd": [7]}, [], "digest must be a text"),
    "element digest is a number": ({"in": [{"...": 7}]}, [], "digest must be a text"),
    "... beside another member": ({"in": [{"...": digest(ELEMENT), "x": 1}]}, [ELEMENT], "stand alone"),
    "... as a claim": ({"...": digest(ELEMENT)}, [ELEMENT], "where a claim was expected"),
    "unreferenced disclosure": ({"_sd": [digest(NAME)]}, [NAME, CITY], "1 disclosure(s) belong to no digest"),
    "child without its parent": ({"_sd": [digest(RECURSIVE)]}, [CITY], "belong to no digest"),
    "disclosure twice": ({"_sd": [digest(NAME)]}, [NAME, NAME], "disclosure is there twice"),
    "digest twice in one object": ({"_sd": [digest(NAME), digest(NAME)]}, [NAME], "digest is there twice"),
    "digest twice, undisclosed": ({"_sd": [digest(NAME)], "of": {"_sd": [digest(NAME)]}}, [], "digest is there twice"),
    "digest in payload and disclosure": (
        {"_sd": [digest(RECURSIVE)], "of": {"_sd": [digest(CITY)]}},
        [RECURSIVE, CITY],
        "digest is there twice",
    ),
    "digest as property and element": (
        {"_sd": [digest(NAME)], "in": [{"...": digest(NAME)}]},
        [],
        "digest is there twice",
    ),
    "claim is open already": ({"_sd": [digest(NAME)], "name": "Ada"}, [NAME], "already has"),
    "claim disclosed twice": ({"_sd": [digest(NAME), digest(CLASH)]}, [NAME, CLASH], "already has"),
    "element behind _sd": ({"_sd": [digest(ELEMENT)]}, [ELEMENT], "without a claim name"),
    "property behind ...": ({"in": [{"...": digest(NAME)}]}, [NAME], "with a claim name"),
}
for reserved in ("_sd", "...", "_sd_alg"):
    named = disclosure("salt", reserved, ["x"])
    REFUSED[f"claim named {reserved}"] = ({"_sd": [digest(named)]}, [named], "must not be named")
for label, parts, message in (
    ("one part", ["salt"], "array of 2 or 3"),
    ("four parts", ["salt", "name", "Ada", 1], "array of 2 or 3"),
    ("no part", [], "array of 2 or 3"),
    ("salt is a number", [1, "name", "Ada"], "salt of a disclosure must be a text"),
    ("name is a number", ["salt", 1, "Ada"], "claim name of a disclosure must be a text"),
    ("name is null", ["salt", None, "Ada"], "claim name of a disclosure must be a text"),
):
    made = disclosure(*parts)
    REFUSED[f"disclosure with {label}"] = ({"_sd": [digest(made)]}, [made], message)
for label, raw, message in (
    ("an object", b'{"salt":"name"}', "array of 2 or 3"),
    ("no JSON", b"salt,name", "not one JSON text"),
    ("trailing text", b'["s","n","v"]x', "text after the value"),
    ("a member twice", b'["s","n",{"a":1,"a":2}]', "member twice"),
    ("NaN", b'["s","n",NaN]', "NaN"),
    ("half a surrogate", b'["s","n","\\ud800"]', "not one JSON text"),
    ("deep nesting", b'["s","n",' + b"[" * 40 + b"]" * 40 + b"]", "too deeply"),
):
    made = base64url.encode(raw)
    REFUSED[f"disclosure with {label}"] = ({"_sd": [digest(made)]}, [made], message)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    payload, disclosures, message = REFUSED[case]
    with pytest.raises(SdJwtError) as caught:
        verified(signed(payload, *disclosures))
    assert message in str(caught.value)
    assert "Ada" not in str(caught.value)


def test_disclosure_in_another_spelling_of_base64() -> None:
    with pytest.raises(SdJwtError, match="base64url"):
        verified(signed({"_sd": [digest(NAME + "=")]}, NAME + "="))


def test_recursion_deeper_than_one_json_text_may() -> None:
    inner: dict[str, Any] = {"end": True}
    chain = []
    for level in range(40):
        link = disclosure(f"salt-{level}", "down", inner)
        chain.append(link)
        inner = {"_sd": [digest(link)]}
    with pytest.raises(SdJwtError, match="nested deeper"):
        verified(signed(inner, *chain))


def test_arrays_of_recursion_count_as_depth() -> None:
    inner: list[Any] = ["end"]
    chain = []
    for level in range(40):
        link = disclosure(f"salt-{level}", inner)
        chain.append(link)
        inner = [{"...": digest(link)}]
    with pytest.raises(SdJwtError, match="nested deeper"):
        verified(signed({"in": inner}, *chain))


def test_limits_of_size_and_count() -> None:
    many = [disclosure(f"salt-{n}", f"n{n}", n) for n in range(MAX_DISCLOSURES + 1)]
    text = signed({"_sd": [digest(item) for item in many]}, *many)
    with pytest.raises(SdJwtError, match="more than 256 disclosures"):
        compact.parse(text)
    assert len(verified(signed({"_sd": [digest(item) for item in many[:-1]]}, *many[:-1])).disclosed) == 256
    with pytest.raises(SdJwtError, match="at most 100 are read"):
        compact.parse(text, max_bytes=100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (jws.sign({}, ISSUER, typ="sd+jwt"), "no '~'"),
        (signed({}) + "é", "not ASCII"),
        ("~", "1 parts"),
        ("", "no '~'"),
        (signed({}).replace("~", "~~"), "not one JSON text"),
        ("a.b~", "2 parts"),
    ],
)
def test_form(text: str, message: str) -> None:
    with pytest.raises((SdJwtError, EnvelopeError), match=message):
        verified(text)


def test_issuer_signature_typ_and_alg() -> None:
    text = signed({"_sd": [digest(NAME)]}, NAME)
    with pytest.raises(EnvelopeError, match="does not belong"):
        core.verify(compact.parse(text), OTHER.public_key, typ="sd+jwt")
    with pytest.raises(EnvelopeError, match="typ is not"):
        core.verify(compact.parse(text), ISSUER.public_key, typ="dc+sd-jwt")
    with pytest.raises(EnvelopeError, match="alg must be one of EdDSA"):
        core.verify(compact.parse(text), ISSUER.public_key, typ="sd+jwt", algorithms={"EdDSA"})
    header = base64url.encode(b'{"typ":"sd+jwt","alg":"none"}')
    with pytest.raises(EnvelopeError, match="alg must be"):
        core.verify(compact.parse(f"{header}.{base64url.encode(b'{}')}.~"), ISSUER.public_key, typ="sd+jwt")


# Key binding, RFC 9901 section 7.3


def bound(**change: Any) -> str:
    arguments = {"holder": HOLDER, "audience": "verifier", "nonce": "n-1", "now": NOW, **change}
    text = signed({"_sd": [digest(NAME), digest(CITY)]}, NAME)
    return bind(text, {}, **arguments)


def check(text: str, **expect: Any) -> core.VerifiedKeyBinding:
    arguments = {"audience": "verifier", "nonce": "n-1", "now": NOW, **expect}
    return core.verify_key_binding(verified(text), HOLDER.public_key, **arguments)


def key_bound(claims: dict[str, Any], *, typ: str | None = "kb+jwt", signer: SoftwareSigner = HOLDER) -> str:
    text = signed({"_sd": [digest(NAME)]}, NAME)
    full = {"iat": NOW, "aud": "verifier", "nonce": "n-1", "sd_hash": digest(text), **claims}
    kept = {name: value for name, value in full.items() if value is not ...}
    return text + jws.sign(kept, signer, typ=typ)


def test_key_binding_is_accepted() -> None:
    assert check(bound()).issued_at == NOW
    assert check(key_bound({})).claims["aud"] == "verifier"
    assert check(bound(further={"transaction_data_hashes": ["h"]})).claims["transaction_data_hashes"] == ["h"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (signed({}), "is missing"),
        (key_bound({}, typ="JWT"), "typ is not kb"),
        (key_bound({}, typ=None), "typ is not kb"),
        (key_bound({}, signer=OTHER), "does not belong"),
        (key_bound({"aud": "another"}), "aud is not"),
        (key_bound({"aud": ["verifier"]}), "aud is not"),
        (key_bound({"aud": ...}), "aud is not"),
        (key_bound({"nonce": "n-2"}), "nonce is not"),
        (key_bound({"nonce": ["n-1"]}), "nonce is not"),
        (key_bound({"nonce": ...}), "nonce is not"),
        (key_bound({"sd_hash": digest("another")}), "sd_hash is not"),
        (key_bound({"sd_hash": ...}), "sd_hash is not"),
        (key_bound({"iat": NOW + 61}), "61 s in the future"),
        (key_bound({"iat": NOW - 301}), "made 301 s ago"),
        (key_bound({"iat": ...}), "'iat' must be an integer"),
        (key_bound({"iat": str(NOW)}), "'iat' must be an integer"),
        (key_bound({"iat": True}), "'iat' must be an integer"),
    ],
)
def test_key_binding_is_refused(text: str, message: str) -> None:
    with pytest.raises((SdJwtError, EnvelopeError), match=message):
        check(text)


def test_key_binding_at_the_edges_of_its_window() -> None:
    assert check(key_bound({"iat": NOW + 60})).issued_at == NOW + 60
    assert check(key_bound({"iat": NOW - 300})).issued_at == NOW - 300


def test_a_disclosure_taken_away_after_binding() -> None:
    text = bound()
    start, _, key_binding = text.split("~")
    with pytest.raises(SdJwtError, match="sd_hash"):
        check(f"{start}~{key_binding}")


def test_key_binding_follows_the_hash_function_of_the_issuer() -> None:
    payload = {"_sd_alg": "sha-512"}
    text = bind(signed(payload), payload, holder=HOLDER, audience="verifier", nonce="n-1", now=NOW)
    assert len(check(text).claims["sd_hash"]) == 86


# Issuing


def issued(claims: dict[str, Any], *disclosable: tuple[str | int | None, ...], decoys: int = 0) -> str:
    return issue(claims, disclosable, ISSUER, typ="sd+jwt", random=Random(1).randbytes, decoys=decoys)


def test_only_the_marked_claims_are_hidden() -> None:
    parts = compact.parse(issued({"a": 1, "b": {"c": 2, "d": 3}, "e": [4, 5]}, ("a",), ("b", "c"), ("e", None)))
    assert set(parts.payload) == {"_sd", "b", "e", "_sd_alg"}
    assert set(parts.payload["b"]) == {"_sd", "d"}
    assert [set(item) for item in parts.payload["e"]] == [{"..."}, {"..."}]


def test_decoys_and_order_tell_nothing() -> None:
    payload = compact.parse(issued({f"c{n}": n for n in range(9)}, *[(f"c{n}",) for n in range(9)], decoys=4)).payload
    assert len(payload["_sd"]) == 13
    assert payload["_sd"] == sorted(payload["_sd"])
    assert len({len(item) for item in payload["_sd"]}) == 1


def test_index_and_all_may_meet() -> None:
    text = issued({"e": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}, ("e", None, "x"), ("e", 1), ("e", 1, "y"))
    parts = compact.parse(text)
    assert len(parts.disclosures) == 4
    assert verified(text).claims == {"e": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}


@pytest.mark.parametrize(
    ("claims", "path", "message"),
    [
        ({"a": 1}, ("b",), "names a claim that is not there"),
        ({"a": {}}, ("a", "b"), "names a claim that is not there"),
        ({"a": 1}, ("a", "b"), "goes into a value"),
        ({"a": []}, ("a", 0), "names an element that is not there"),
        ({"a": []}, ("a", "b"), "names a member of an array"),
        ({"a": {}}, ("a", 0), "names an element of an object"),
        ({"a": {}}, ("a", None), "names an element of an object"),
        ({"a": 1}, (), "is empty"),
        ({"a": 1}, (1.5,), "must be a name"),
        ({"a": [1]}, ("a", -1), "negative"),
        ({"_sd": 1}, ("_sd",), "must not be named '_sd'"),
        ({"a": {"...": 1}}, ("a",), "must not be named '...'"),
        ({"a": [{"_sd_alg": 1}]}, ("a",), "must not be named '_sd_alg'"),
        ({"a": float("nan")}, ("a",), "written as JSON"),
        ({"a": 1, "b": {1, 2}}, ("a",), "written as JSON"),
        ({"a": "\ud800"}, ("a",), "written as JSON"),
    ],
)
def test_issuing_refuses(claims: dict[str, Any], path: Any, message: str) -> None:
    with pytest.raises(SdJwtError) as caught:
        issued(claims, path)
    assert message in str(caught.value)


def test_a_path_through_all_may_find_nothing() -> None:
    text = issued({"e": [{"x": 1}, {"y": 2}], "none": []}, ("e", None, "x"), ("none", None))
    assert len(compact.parse(text).disclosures) == 1


# Presenting


TREE = {
    "name": "Ada",
    "home": {"city": "Manresa", "street": "Nou", "flat": {"door": 1, "floor": 2}},
    "in": ["ES", "FR"],
}
TREE_DISCLOSABLE = (
    ("name",),
    ("home",),
    ("home", "city"),
    ("home", "street"),
    ("home", "flat", "door"),
    ("in",),
    ("in", None),
)


@pytest.mark.parametrize(
    ("paths", "seen", "count"),
    [
        ([], {}, 0),
        ([("name",)], {"name": "Ada"}, 1),
        ([("home", "city")], {"home": {"city": "Manresa", "flat": {"floor": 2}}}, 2),
        ([("home", "flat", "door")], {"home": {"flat": {"door": 1, "floor": 2}}}, 2),
        ([("home",)], {"home": TREE["home"]}, 4),
        ([("in", 1)], {"in": ["FR"]}, 2),
        ([("in", None)], {"in": ["ES", "FR"]}, 3),
        ([("name",), ("name",)], {"name": "Ada"}, 1),
    ],
)
def test_what_is_presented(paths: list[Any], seen: dict[str, Any], count: int) -> None:
    presented = present(compact.parse(issued(TREE, *TREE_DISCLOSABLE, decoys=2)), paths)
    assert presented.count("~") == count + 1
    assert verified(presented).claims == seen


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("nothing",), "selects no claim"),
        (("in", 2), "selects no claim"),
        (("name", "first"), "not an object"),
        (("home", 0), "not an array"),
        (("home", None), "not an array"),
        ((), "is empty"),
    ],
)
def test_presenting_refuses(path: Any, message: str) -> None:
    with pytest.raises(SdJwtError, match=message):
        present(compact.parse(issued(TREE, *TREE_DISCLOSABLE)), [path])


def test_what_was_presented_is_not_presented_again() -> None:
    with pytest.raises(SdJwtError, match="already presented"):
        present(compact.parse(bound()), [])
