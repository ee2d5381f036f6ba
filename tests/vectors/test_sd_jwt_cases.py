"""Every case of the reference implementation: issued, presented and verified with our code."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from identity.codec import base64url
from identity.formats.sd_jwt import compact, json_serialization
from identity.formats.sd_jwt import verify as core
from identity.formats.sd_jwt.claim_path import ClaimPath, Location
from identity.formats.sd_jwt.issue import issue
from identity.formats.sd_jwt.present import bind, present
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

FOLDER = Path(__file__).parent / "sd_jwt"
CASES = sorted(path.stem for path in FOLDER.glob("*.yml") if path.stem != "settings")
SETTINGS = yaml.safe_load((FOLDER / "settings.yml").read_text())
ISSUER = SoftwareSigner.from_jwk(SETTINGS["key_settings"]["issuer_keys"][0])
HOLDER = SoftwareSigner.from_jwk(SETTINGS["key_settings"]["holder_key"])
NOW = SETTINGS["iat"]
NONCE = SETTINGS["key_binding_nonce"]
AUDIENCE = SETTINGS["identifiers"]["verifier"]
TYP = "example+sd-jwt"


@dataclass(frozen=True)
class Disclosable:
    """What YAML marks with !sd; hashable, since it may be a mapping's key."""

    value: Any

    def __hash__(self) -> int:
        return hash(str(self.value))


class Loader(yaml.SafeLoader):
    """Reads !sd before a key, a scalar, a list or a mapping."""


def _disclosable(loader: Loader, node: yaml.Node) -> Disclosable:
    if isinstance(node, yaml.MappingNode):
        return Disclosable(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Disclosable(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    # The tag hides the plain type; resolve it as YAML would without the tag.
    tag = loader.resolve(yaml.ScalarNode, node.value, (node.style is None, False))  # type: ignore[no-untyped-call]
    return Disclosable(loader.construct_object(yaml.ScalarNode(tag, node.value, style=node.style)))


Loader.add_constructor("!sd", _disclosable)


def _case(name: str) -> dict[str, Any]:
    case: dict[str, Any] = yaml.load((FOLDER / f"{name}.yml").read_text(), Loader)  # noqa: S506 (a SafeLoader)
    return case


def _unmarked(value: Any, location: Location, disclosable: list[ClaimPath]) -> Any:
    """The claims without marks; the places of the marks go to ``disclosable``."""
    if isinstance(value, Disclosable):
        disclosable.append(location)
        return _unmarked(value.value, location, disclosable)
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            name = key.value if isinstance(key, Disclosable) else key
            if isinstance(key, Disclosable):
                disclosable.append((*location, name))
            out[name] = _unmarked(item, (*location, name), disclosable)
        return out
    if isinstance(value, list):
        return [_unmarked(item, (*location, index), disclosable) for index, item in enumerate(value)]
    return value


def _chosen(value: Any, location: Location = ()) -> list[ClaimPath]:
    """The leaves that are true."""
    if isinstance(value, dict):
        children: list[Any] = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    else:
        # The reference reads YAML's plain None as the text "None": only true chooses.
        return [location] if value is True else []
    return list(itertools.chain.from_iterable(_chosen(item, (*location, name)) for name, item in children))


@pytest.mark.parametrize("decoys", [0, 3])
@pytest.mark.parametrize("name", CASES)
def test_case(name: str, decoys: int) -> None:
    case = _case(name)
    disclosable: list[ClaimPath] = []
    claims = _unmarked(case["user_claims"], (), disclosable)
    bound = bool(case.get("key_binding"))
    if bound:
        claims["cnf"] = {"jwk": HOLDER.public_key.jwk()}
    header = case.get("extra_header_parameters", {})
    issued = issue(claims, disclosable, ISSUER, typ=TYP, random=Random(1).randbytes, header=header, decoys=decoys)

    parts = compact.parse(issued)
    assert len(parts.disclosures) == len(disclosable)
    everything = core.verify(parts, ISSUER.public_key, typ=TYP)
    assert everything.claims == claims
    assert everything.header == {"typ": TYP, "alg": "ES256", **header}

    presented = present(parts, _chosen(case["holder_disclosed_claims"]))
    if bound:
        presented = bind(presented, parts.payload, holder=HOLDER, audience=AUDIENCE, nonce=NONCE, now=NOW)
    received = compact.parse(presented)
    if case.get("serialization_format") == "json":
        (received,) = json_serialization.parse(json_serialization.format_flattened(presented))
    seen = core.verify(received, ISSUER.public_key, typ=TYP)
    expected = case["expect_verified_user_claims"]
    assert {name: value for name, value in seen.claims.items() if name != "cnf"} == expected
    if bound:
        holder_key = PublicKey.from_jwk(seen.claims["cnf"]["jwk"])
        core.verify_key_binding(seen, holder_key, audience=AUDIENCE, nonce=NONCE, now=NOW)


def test_general_serialization_with_two_issuers() -> None:
    case = _case("json_serialization_general")
    disclosable: list[ClaimPath] = []
    claims = _unmarked(case["user_claims"], (), disclosable)
    keys = [
        SoftwareSigner.from_jwk({name: value for name, value in jwk.items() if name != "kid"})
        for jwk in case["settings_override"]["key_settings"]["issuer_keys"]
    ]
    issued = issue(claims, disclosable, keys[0], typ=TYP, random=Random(1).randbytes)
    parts = compact.parse(issued)
    header, payload, _ = parts.issuer_jwt.compact.split(".")
    second = keys[1].sign(f"{header}.{payload}".encode())
    presented = present(parts, _chosen(case["holder_disclosed_claims"]))
    general = json_serialization.format_general(presented, [f"{header}.{payload}.{base64url.encode(second)}"])
    received = json_serialization.parse(general)
    assert len(received) == 2
    for part, key in zip(received, keys, strict=True):
        assert core.verify(part, key.public_key, typ=TYP).claims == case["expect_verified_user_claims"]
