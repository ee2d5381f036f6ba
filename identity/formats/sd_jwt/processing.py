"""From digests and disclosures to the Processed SD-JWT Payload (RFC 9901 section 7.1 steps 3 to 5).

Used by a verifier after the signature, and by a holder to find which disclosure holds which claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from identity.errors import SdJwtError
from identity.formats.sd_jwt import disclosure
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt.disclosure import Disclosure
from identity.formats.sd_jwt.spec import DEFAULT_SD_ALG, ELLIPSIS, HASHES, MAX_DEPTH, RESERVED, SD, SD_ALG


@dataclass(frozen=True, slots=True)
class ProcessedPayload:
    """As trustworthy as the payload it was made from."""

    claims: dict[str, Any]
    disclosures: dict[Location, Disclosure]
    """Each disclosure under the place of its claim in ``claims``."""


def process(payload: dict[str, Any], disclosures: Sequence[str]) -> ProcessedPayload:
    """Raises SdJwtError.

    1. ``_sd_alg`` is a hash function we allow (2.e of the section).
    2. Each disclosure has a form, and none is there twice (3.1).
    3. Each embedded digest is met once (3.2, 4); one without disclosure, a decoy perhaps, is left out.
    4. A disclosure behind ``_sd`` names a claim, not ``_sd`` or ``...``, that the object has not yet;
       one behind ``...`` names none (3.3).
    5. Every disclosure was referenced (5).
    """
    # 1
    sd_alg = hash_function(payload)
    # 2
    by_digest: dict[str, Disclosure] = {}
    for encoded in disclosures:
        decoded = disclosure.decode(encoded)
        by_digest[disclosure.digest(encoded, sd_alg)] = decoded
    if len(by_digest) != len(disclosures):
        raise SdJwtError("SD-JWT: a disclosure is there twice")
    # 3, 4
    walk = _Walk(by_digest)
    claims = walk.object(payload, ())
    claims.pop(SD_ALG, None)
    # 5
    if by_digest:
        raise SdJwtError(f"SD-JWT: {len(by_digest)} disclosure(s) belong to no digest")
    return ProcessedPayload(claims, walk.found)


def hash_function(payload: dict[str, Any]) -> str:
    """The name of the hash function of this SD-JWT (section 4.1.1)."""
    sd_alg = payload.get(SD_ALG, DEFAULT_SD_ALG)
    if not isinstance(sd_alg, str) or sd_alg not in HASHES:
        raise SdJwtError(f"SD-JWT: {SD_ALG} must be one of {', '.join(HASHES)}")
    return sd_alg


_CONTAINERS = (dict, list)


class _Walk:
    def __init__(self, by_digest: dict[str, Disclosure]) -> None:
        self.found: dict[Location, Disclosure] = {}
        self._by_digest = by_digest
        self._seen: set[str] = set()

    def object(self, node: dict[str, Any], location: Location) -> dict[str, Any]:
        if len(location) > MAX_DEPTH:
            raise SdJwtError(f"SD-JWT: nested deeper than {MAX_DEPTH} levels")
        if ELLIPSIS in node or (SD_ALG in node and location):
            raise SdJwtError(f"SD-JWT: {ELLIPSIS!r} or {SD_ALG!r} where a claim was expected")
        claims = {
            name: self._value(value, location, name) if isinstance(value, _CONTAINERS) else value
            for name, value in node.items()
            if name != SD
        }
        if SD not in node:
            return claims
        digests = node[SD]
        if not isinstance(digests, list):
            raise SdJwtError(f"SD-JWT: {SD!r} must be a list of digests")
        for digest in digests:
            found = self._resolve(digest)
            if found is None:
                continue
            _, name, value = found
            if name is None:
                raise SdJwtError("SD-JWT: an object's digest has a disclosure without a claim name")
            if name in RESERVED:
                raise SdJwtError(f"SD-JWT: a disclosure must not be named {name!r}")
            if name in claims:
                raise SdJwtError("SD-JWT: a disclosure names a claim that the object already has")
            self.found[(*location, name)] = found
            claims[name] = self._value(value, location, name) if isinstance(value, _CONTAINERS) else value
        return claims

    def _value(self, node: dict[str, Any] | list[Any], location: Location, name: str | int) -> Any:
        if isinstance(node, dict):
            return self.object(node, (*location, name))
        return self._array(node, (*location, name))

    def _array(self, node: list[Any], location: Location) -> list[Any]:
        if len(location) > MAX_DEPTH:
            raise SdJwtError(f"SD-JWT: nested deeper than {MAX_DEPTH} levels")
        elements: list[Any] = []
        for item in node:
            value = item
            if isinstance(item, dict) and ELLIPSIS in item:
                if len(item) != 1:
                    raise SdJwtError(f"SD-JWT: {ELLIPSIS!r} must stand alone in its object")
                found = self._resolve(item[ELLIPSIS])
                if found is None:
                    continue
                if found.name is not None:
                    raise SdJwtError("SD-JWT: an array element's digest has a disclosure with a claim name")
                self.found[(*location, len(elements))] = found
                value = found.value
            if isinstance(value, _CONTAINERS):
                value = self._value(value, location, len(elements))
            elements.append(value)
        return elements

    def _resolve(self, digest: Any) -> Disclosure | None:
        if not isinstance(digest, str):
            raise SdJwtError("SD-JWT: a digest must be a text")
        if digest in self._seen:
            raise SdJwtError("SD-JWT: a digest is there twice")
        self._seen.add(digest)
        return self._by_digest.pop(digest, None)
