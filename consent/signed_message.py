"""What all signed messages of WIRE section C have in common: exact header, one key, strict claims."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from consent.errors import MessageError, SenderUnproven
from identity.codec import members
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

KID_HEADER = frozenset({"typ", "alg", "kid"})
JWK_HEADER = frozenset({"typ", "alg", "jwk"})


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message whose signature belongs to ``key``, with its claims as they stand."""

    claims: dict[str, Any]
    key: PublicKey
    compact: str

    @property
    def digest(self) -> str:
        return jws.digest(self.compact)


class reading:  # noqa: N801  # reads as the verb it is: ``with reading("grant"):``
    """Turns a refusal of the layers below into ``error`` about ``what``.

    A class and not a generator: every message passes through some ten of them.
    """

    __slots__ = ("_error", "_what")

    def __init__(self, what: str, error: type[MessageError] = MessageError) -> None:
        self._what = what
        self._error = error

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if isinstance(fault, IdentityError):
            text = str(fault)
            raise self._error(text if text.startswith(self._what) else f"{self._what}: {text}") from None


def verify_by_kid(
    compact: str, key_for: Callable[[Mapping[str, Any]], PublicKey], *, typ: str, what: str
) -> SignedMessage:
    """A message signed by a key known beforehand, named by its thumbprint.

    ``key_for`` gets the unverified claims, to choose whose key must have signed; it raises where
    there is none. Raises MessageError, and SenderUnproven where the form is right and the sender
    is unknown or did not sign.
    """
    with reading(what):
        parsed = jws.parse(compact, what=what)
        claims = parsed.claims(what=what)
    with reading(what, SenderUnproven):
        key = key_for(claims)
        verified = jws.verify(parsed, key, typ=typ, members=KID_HEADER, what=what)
    if verified.header["kid"] != key.thumbprint:
        raise SenderUnproven(f"{what}: kid is not the thumbprint of the sender's key")
    return SignedMessage(claims, key, compact)


def verify_by_jwk(compact: str, *, typ: str, what: str) -> SignedMessage:
    """A message signed by the key in its own header: it proves possession of that key, no more."""
    with reading(what):
        parsed = jws.parse(compact, what=what)
        jwk = parsed.header.get("jwk")
        if not isinstance(jwk, dict):
            raise MessageError(f"{what}: the header must carry the signing key as jwk")
        verified = jws.verify(parsed, PublicKey.from_jwk(jwk), typ=typ, members=JWK_HEADER, what=what)
        return SignedMessage(verified.claims(what=what), verified.key, compact)


def sign_by_kid(claims: Mapping[str, Any], signer: Signer, *, typ: str) -> str:
    return jws.sign(claims, signer, typ=typ, header={"kid": signer.public_key.thumbprint})


def sign_by_jwk(claims: Mapping[str, Any], signer: Signer, *, typ: str) -> str:
    return jws.sign(claims, signer, typ=typ, header={"jwk": signer.public_key.jwk()})


def exact(claims: Mapping[str, Any], what: str, required: Set[str], optional: Set[str] = frozenset()) -> None:
    """Raises MessageError on a missing or unknown member."""
    with reading(what):
        members.exact_members(claims, what=what, required=required, optional=optional)
