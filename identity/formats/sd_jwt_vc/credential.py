"""Reading the claims that every SD-JWT VC has in common, wherever they come from.

A verifier reads them from a verified payload, a wallet from its own copies to choose one.
"""

from collections.abc import Mapping
from typing import Any

from identity.codec.members import integer, mapping, text, texts
from identity.errors import CredentialError, EncodingError, KeyMaterialError
from identity.keys.public_key import PublicKey

WHAT = "SD-JWT VC"

MAX_AKA_VCTS = 16


def name(claims: Mapping[str, Any], member: str) -> str:
    """``iss`` or ``vct``: a text that must be there.

    The draft lets ``iss`` be left out where a certificate names the issuer; we require it, since
    the trust list names issuers by it.
    """
    try:
        return text(claims, member, what=WHAT)
    except EncodingError as fault:
        raise CredentialError(str(fault)) from None


def date(claims: Mapping[str, Any], member: str) -> int | None:
    """``iat``, ``nbf`` or ``exp`` as NumericDate in whole seconds; None where it is not there."""
    if member not in claims:
        return None
    try:
        return integer(claims, member, what=WHAT)
    except EncodingError as fault:
        raise CredentialError(str(fault)) from None


def other_types(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """``aka_vcts``: further types of this credential (section 2.2.2.2)."""
    if "aka_vcts" not in claims:
        return ()
    try:
        others = texts(claims, "aka_vcts", what=WHAT, max_count=MAX_AKA_VCTS)
    except EncodingError as fault:
        raise CredentialError(str(fault)) from None
    if claims.get("vct") in others:
        raise CredentialError(f"{WHAT}: 'aka_vcts' names the vct again")
    return others


def holder_key(claims: Mapping[str, Any]) -> PublicKey | None:
    """The key in ``cnf`` (RFC 7800 section 3.2); None without ``cnf``."""
    if "cnf" not in claims:
        return None
    try:
        return PublicKey.from_jwk_members(mapping(mapping(claims, "cnf", what=WHAT), "jwk", what=f"{WHAT}: cnf"))
    except (EncodingError, KeyMaterialError) as fault:
        raise CredentialError(f"{WHAT}: cnf cannot be used: {fault}") from None


def status(claims: Mapping[str, Any]) -> tuple[str, int] | None:
    """Address and index in a Token Status List (draft -21 section 6.2); None without ``status``.

    A status by any other mechanism is refused: we could not say that it is good.
    """
    if "status" not in claims:
        return None
    try:
        entry = mapping(mapping(claims, "status", what=WHAT), "status_list", what=f"{WHAT}: status")
        return text(entry, "uri", what=f"{WHAT}: status"), integer(entry, "idx", what=f"{WHAT}: status")
    except EncodingError as fault:
        raise CredentialError(str(fault)) from None
