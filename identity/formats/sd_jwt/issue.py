"""Concealing claims behind digests (RFC 9901 sections 4.2 and 5), and signing the rest."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import SdJwtError
from identity.formats.sd_jwt import claim_path, compact, disclosure
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.formats.sd_jwt.spec import DEFAULT_SD_ALG, ELLIPSIS, RESERVED, SD, SD_ALG
from identity.keys.signer import Signer
from identity.randomness import Random

SALT_BYTES = 18
"""Section 9.3 asks for at least 16, fresh for each disclosure; 18 fill their base64url to the last bit."""

SALT_CHARACTERS = 24

SALTS_AT_ONCE = 16
"""One call for random bytes serves a usual credential; what is left over is thrown away."""

DIGEST_BYTES = 32


def issue(
    claims: Mapping[str, Any],
    disclosable: Iterable[ClaimPath],
    signer: Signer,
    *,
    typ: str | None,
    random: Random,
    header: Mapping[str, Any] | None = None,
    decoys: int = 0,
) -> str:
    """A compact SD-JWT with all its disclosures. Parameters as ``conceal`` and ``jws.sign``."""
    payload, disclosures = conceal(claims, disclosable, random=random, decoys=decoys)
    return sign(payload, disclosures, signer, typ=typ, header=header)


def sign(
    payload: Mapping[str, Any],
    disclosures: Sequence[str],
    signer: Signer,
    *,
    typ: str | None,
    header: Mapping[str, Any] | None = None,
) -> str:
    """The second half of ``issue``, for a profile that adds claims which it never conceals."""
    try:
        issuer_signed = jws.sign(payload, signer, typ=typ, header=header)
    except (TypeError, ValueError):
        raise SdJwtError("SD-JWT: a claim cannot be written as JSON") from None
    return compact.format(issuer_signed, disclosures)


def conceal(
    claims: Mapping[str, Any], disclosable: Iterable[ClaimPath], *, random: Random, decoys: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """The payload with digests in place of the claims that ``disclosable`` selects, and the disclosures.

    A path within another makes a recursive disclosure (section 4.2.6). ``decoys`` decoy digests go
    into each ``_sd`` (section 4.2.5). A path that selects nothing is refused: a misspelt one would
    leave open what was meant to be hidden. Only through None (every element) may it find nothing.
    """
    concealment = _Concealment(random, decoys)
    try:
        payload = concealment.object(claims, _marks(tuple(disclosable)), through_all=False)
    except (TypeError, ValueError):
        raise SdJwtError("SD-JWT: a claim cannot be written as JSON, or a claim path cannot be read") from None
    payload[SD_ALG] = DEFAULT_SD_ALG
    return payload, concealment.disclosures


class _Marks:
    """What is disclosable below one place: a tree of claim paths."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.here = False
        self.below: dict[str | int | None, _Marks] = {}


_NONE = _Marks()

_CONTAINERS = (dict, list)


@lru_cache(maxsize=64)
def _marks(disclosable: tuple[ClaimPath, ...]) -> _Marks:
    """One tree for each credential type; read only once made."""
    root = _Marks()
    for path in disclosable:
        claim_path.check(path)
        node = root
        for component in path:
            node = node.below.setdefault(component, _Marks())
        node.here = True
    return root


class _Concealment:
    def __init__(self, random: Random, decoys: int) -> None:
        self.disclosures: list[str] = []
        self._random = random
        self._decoys = decoys
        self._salts: list[str] = []

    def object(self, node: Mapping[str, Any], marks: _Marks, *, through_all: bool) -> dict[str, Any]:
        if not RESERVED.isdisjoint(node):
            raise SdJwtError(f"SD-JWT: a claim must not be named {min(RESERVED & node.keys())!r}")
        payload = dict(node)
        digests: list[str] = []
        for name, mark in marks.below.items():
            if not isinstance(name, str):
                raise SdJwtError("SD-JWT: a disclosable path names an element of an object")
            if name not in payload:
                if not through_all:
                    raise SdJwtError("SD-JWT: a disclosable path names a claim that is not there")
                continue
            value = self._value(payload.pop(name), mark, through_all)
            if mark.here:
                digests.append(self._add(disclosure.encode_property(self._salt(), name, value)))
            else:
                payload[name] = value
        for name, value in payload.items():
            if name not in marks.below and isinstance(value, _CONTAINERS):
                self._value(value, _NONE, through_all)
        if digests:
            digests.extend(self._decoy() for _ in range(self._decoys))
            # Section 4.2.4.1: sorted, so that the order of the claims does not show.
            payload[SD] = sorted(digests)
        return payload

    def _array(self, node: list[Any], marks: _Marks, through_all: bool) -> list[Any]:
        below = marks.below
        everyone = below.get(None, _NONE)
        for component in below:
            if isinstance(component, str):
                raise SdJwtError("SD-JWT: a disclosable path names a member of an array")
            if component is not None and component >= len(node) and not through_all:
                raise SdJwtError("SD-JWT: a disclosable path names an element that is not there")
        payload: list[Any] = []
        for index, value in enumerate(node):
            mark = below.get(index, _NONE)
            if everyone is not _NONE:
                mark = _merged(mark, everyone)
            value = self._value(value, mark, through_all or everyone is not _NONE)
            if mark.here:
                value = {ELLIPSIS: self._add(disclosure.encode_element(self._salt(), value))}
            payload.append(value)
        return payload

    def _value(self, node: Any, marks: _Marks, through_all: bool) -> Any:
        if not isinstance(node, _CONTAINERS):
            if marks.below:
                raise SdJwtError("SD-JWT: a disclosable path goes into a value that is no object or array")
            return node
        if isinstance(node, dict):
            return self.object(node, marks, through_all=through_all)
        return self._array(node, marks, through_all)

    def _add(self, encoded: str) -> str:
        self.disclosures.append(encoded)
        return disclosure.digest(encoded, DEFAULT_SD_ALG)

    def _salt(self) -> str:
        if not self._salts:
            text = base64url.encode(self._random(SALT_BYTES * SALTS_AT_ONCE))
            self._salts = [text[at : at + SALT_CHARACTERS] for at in range(0, len(text), SALT_CHARACTERS)]
        return self._salts.pop()

    def _decoy(self) -> str:
        return base64url.encode(self._random(DIGEST_BYTES))


def _merged(one: _Marks, other: _Marks) -> _Marks:
    """Marks of an element that is named by its index and by None."""
    if one is _NONE:
        return other
    both = _Marks()
    both.here = one.here or other.here
    for component in one.below.keys() | other.below.keys():
        both.below[component] = _merged(one.below.get(component, _NONE), other.below.get(component, _NONE))
    return both
