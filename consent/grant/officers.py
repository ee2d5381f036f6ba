"""The officers (WIRE C15, ADR 0009 D11): any two of them open one grant's events together, and nobody alone.

Their common key exists only in envelopes, one for each pair, sealed twice: to the one officer and,
within, to the other. Who makes the file forgets the key at once; who has the file has nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading
from identity.codec import members, strict_json
from identity.envelope import hpke
from identity.keys.agreement import KEY_BYTES, AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.randomness import Random

MIN_OFFICERS, MAX_OFFICERS = 2, 7
"""WIRE C15: 21 envelopes at most."""

MAX_NAME = 64
MAX_FILE_BYTES = 65_536

_WHAT = "officers"


@dataclass(frozen=True, slots=True)
class Officer:
    """``order_key`` signs orders (ES256), ``open_key`` opens envelopes."""

    name: str
    order_key: PublicKey
    open_key: AgreementPublicKey

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "order_jwk": self.order_key.jwk(), "open_jwk": self.open_key.jwk()}


@dataclass(frozen=True, slots=True)
class Officers:
    """What the consent service's configuration names: public keys and closed envelopes."""

    key: AgreementPublicKey
    members: tuple[Officer, ...]
    envelopes: Mapping[tuple[str, str], str]
    """Thumbprints of a pair's opening keys, in order → the key, sealed to the second around the first."""

    def by_order_key(self, thumbprint: str) -> Officer | None:
        return next((one for one in self.members if one.order_key.thumbprint == thumbprint), None)

    def envelope(self, first: Officer, second: Officer) -> str:
        return self.envelopes[_pair(first.open_key, second.open_key)]

    def format(self) -> bytes:
        value = {
            "key": self.key.jwk(),
            "officers": [one.to_json() for one in self.members],
            "envelopes": [{"pair": list(pair), "sealed": sealed} for pair, sealed in self.envelopes.items()],
        }
        return strict_json.compact(value)


def make_officers(officers: Sequence[Officer], random: Random) -> Officers:
    """A fresh common key in its envelopes; the key itself is forgotten here. Raises MessageError."""
    _check(officers)
    private = AgreementPrivateKey(random(KEY_BYTES))
    envelopes = {}
    for one, other in combinations(officers, 2):
        pair = _pair(one.open_key, other.open_key)
        keys = {officer.open_key.thumbprint: officer.open_key for officer in (one, other)}
        inner = hpke.seal(keys[pair[0]], _info(pair), private.raw)
        envelopes[pair] = hpke.seal(keys[pair[1]], _info(pair), inner.encode("ascii"))
    return Officers(private.public, tuple(officers), envelopes)


def open_envelope(envelope: str, one: AgreementPrivateKey, other: AgreementPrivateKey) -> AgreementPrivateKey:
    """The common key, by both officers of the pair. Raises MessageError."""
    pair = _pair(one.public, other.public)
    keys = {key.public.thumbprint: key for key in (one, other)}
    with reading(f"{_WHAT}: envelope"):
        inner = hpke.open_sealed(keys[pair[1]], _info(pair), envelope).decode("ascii", errors="replace")
        raw = hpke.open_sealed(keys[pair[0]], _info(pair), inner)
    if len(raw) != KEY_BYTES:
        raise MessageError(f"{_WHAT}: the envelope holds no key")
    return AgreementPrivateKey(raw)


def parse_officer(value: Any) -> Officer:
    """Raises MessageError."""
    if not isinstance(value, dict):
        raise MessageError(f"{_WHAT}: an officer is an object")
    exact(value, _WHAT, frozenset({"name", "order_jwk", "open_jwk"}))
    with reading(_WHAT):
        officer = Officer(
            name=members.text(value, "name", what=_WHAT, max_length=MAX_NAME),
            order_key=PublicKey.from_jwk(members.mapping(value, "order_jwk", what=_WHAT)),
            open_key=AgreementPublicKey.from_jwk(members.mapping(value, "open_jwk", what=_WHAT)),
        )
    if "ES256" not in officer.order_key.algorithms:
        raise MessageError(f"{_WHAT}: {officer.name}: the key for orders must be for ES256")
    return officer


def parse_officers(content: bytes) -> Officers:
    """The file that ``atorga officers init`` wrote. Raises MessageError."""
    with reading(_WHAT):
        value = strict_json.parse_object(content, what=_WHAT, max_bytes=MAX_FILE_BYTES)
        exact(value, _WHAT, frozenset({"key", "officers", "envelopes"}))
        key = AgreementPublicKey.from_jwk(members.mapping(value, "key", what=_WHAT))
    if not isinstance(value["officers"], list) or not isinstance(value["envelopes"], list):
        raise MessageError(f"{_WHAT}: officers and envelopes are lists")
    officers = tuple(map(parse_officer, value["officers"]))
    _check(officers)
    envelopes = dict(map(_envelope, value["envelopes"]))
    expected = {_pair(one.open_key, other.open_key) for one, other in combinations(officers, 2)}
    if envelopes.keys() != expected or len(value["envelopes"]) != len(expected):
        raise MessageError(f"{_WHAT}: there must be one envelope for each pair")
    return Officers(key, officers, envelopes)


def _envelope(value: Any) -> tuple[tuple[str, str], str]:
    if not isinstance(value, dict):
        raise MessageError(f"{_WHAT}: an envelope is an object")
    exact(value, _WHAT, frozenset({"pair", "sealed"}))
    with reading(_WHAT):
        first, second = members.texts(value, "pair", what=_WHAT, max_count=2, max_length=43, min_count=2)
        return (first, second), members.text(value, "sealed", what=_WHAT)


def _check(officers: Sequence[Officer]) -> None:
    if not MIN_OFFICERS <= len(officers) <= MAX_OFFICERS:
        raise MessageError(f"{_WHAT}: {len(officers)}, expected {MIN_OFFICERS} to {MAX_OFFICERS}")
    for what in (
        {one.name for one in officers},
        {one.order_key.thumbprint for one in officers},
        {one.open_key.thumbprint for one in officers},
    ):
        if len(what) != len(officers):
            raise MessageError(f"{_WHAT}: two of them have one name or key")


def _pair(one: AgreementPublicKey, other: AgreementPublicKey) -> tuple[str, str]:
    first, second = sorted((one.thumbprint, other.thumbprint))
    return first, second


def _info(pair: tuple[str, str]) -> bytes:
    return spec.INFO_OFFICERS + pair[0].encode() + pair[1].encode()
