"""The log promise (WIRE C5): a leaf that will be in the log by a time, signed by the log's own key.

A withdrawal takes effect when it is committed, not when it is logged; until then its resident holds
this. Whoever holds a promise looks for the leaf later: a broken one is evidence against the log.
"""

from dataclasses import dataclass, replace
from typing import Any

from consent import spec
from consent.errors import LogError, MessageError
from consent.ledger.leaf import DAY_ONLY, Leaf
from consent.log.note import NoteKey
from consent.log.period import same_log
from consent.signed_message import KID_HEADER, exact, reading
from identity.codec import base64url, members
from identity.envelope import jws
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.public_key import PublicKey

_WHAT = "log promise"
_ALGORITHM = "EdDSA"
_MAX_PROMISE = 1_024


@dataclass(frozen=True, slots=True)
class Promise:
    """``leaf`` has minute 0; ``log`` is the origin of the period in which it was made."""

    log: str
    leaf: Leaf
    due: int

    def is_kept_by(self, leaf: Leaf) -> bool:
        """Whether this logged leaf differs only in what the sequencer sets: minute and day flag."""
        return replace(leaf, minute=0, flags=leaf.flags & ~DAY_ONLY) == replace(
            self.leaf, flags=self.leaf.flags & ~DAY_ONLY
        )


def sign_promise(leaf: Leaf, *, due: int, key: NoteKey, signer: Ed25519Signer) -> str:
    claims = {"log": key.name, "leaf": base64url.encode(replace(leaf, minute=0).to_bytes()), "due": due}
    return jws.sign(claims, _LogSigner(signer), typ=spec.TYP_PROMISE, header={"kid": _kid(key)})


def verify_promise(compact: str, vkey: str) -> Promise:
    """A promise of the log with the pinned verifier key, of whichever period. Raises MessageError, LogError."""
    pinned = NoteKey.parse(vkey)
    with reading(_WHAT):
        parsed = jws.parse(compact, what=_WHAT, max_bytes=_MAX_PROMISE)
        public = PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(pinned.public)})
        verified = jws.verify(
            parsed,
            public,
            typ=spec.TYP_PROMISE,
            algorithms=frozenset({_ALGORITHM}),
            members=KID_HEADER,
            what=_WHAT,
        )
        claims: dict[str, Any] = verified.claims(what=_WHAT)
        exact(claims, _WHAT, frozenset({"log", "leaf", "due"}))
        raw = base64url.decode(members.text(claims, "leaf", what=_WHAT), what=_WHAT)
        due = members.integer(claims, "due", what=_WHAT)
        log = members.text(claims, "log", what=_WHAT, max_length=_MAX_PROMISE)
    key = pinned.renamed(log)
    if verified.header["kid"] != _kid(key) or not same_log(log, pinned.name):
        raise MessageError(f"{_WHAT}: of another log")
    leaf = Leaf.from_bytes(raw)
    if leaf.minute:
        raise LogError(f"{_WHAT}: its leaf has a minute already")
    return Promise(key.name, leaf, due)


def _kid(key: NoteKey) -> str:
    return f"{key.name}+{key.key_id.hex()}"


class _LogSigner:
    """The log's key in the role of a signer of JWS."""

    algorithm = _ALGORITHM

    def __init__(self, signer: Ed25519Signer) -> None:
        self._signer = signer

    @property
    def public_key(self) -> PublicKey:
        return PublicKey.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(self._signer.public)})

    def sign(self, data: bytes) -> bytes:
        return self._signer.sign(data)
