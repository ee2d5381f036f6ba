"""Acts on a grant (WIRE C5): pause, resume, amend; numbered, signed whole by the grant key."""

from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail, parse_details
from consent.signed_message import exact, reading, sign_by_jwk, verify_by_jwk
from identity.codec import base64url, members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.randomness import Random

_WHAT = "grant act"
MAX_ACT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Pause:
    verb = "pause"


@dataclass(frozen=True, slots=True)
class Resume:
    verb = "resume"


@dataclass(frozen=True, slots=True)
class Amend:
    detail: AuthorizationDetail
    verb = "amend"


Deed = Pause | Resume | Amend


@dataclass(frozen=True, slots=True)
class VerifiedAct:
    """An act by the holder of ``key``. Whether that is the grant's key is for the caller to check."""

    id: str
    grant_id: str
    issued: int
    number: int
    deed: Deed
    key: PublicKey
    digest: str


def sign_act(grant_id: str, number: int, deed: Deed, *, consent: str, signer: Signer, now: int, random: Random) -> str:
    do: dict[str, Any] = {"verb": deed.verb}
    if isinstance(deed, Amend):
        do["authorization_details"] = [deed.detail.to_json()]
    claims = {
        "aud": consent,
        "jti": base64url.encode(random(16)),
        "grant_id": grant_id,
        "iat": now,
        "act": number,
        "do": do,
    }
    return sign_by_jwk(claims, signer, typ=spec.TYP_ACT)


def verify_act(compact: str, *, consent: str) -> VerifiedAct:
    """Raises MessageError. Its order and freshness are in ``number``, which the grant row checks."""
    message = verify_by_jwk(compact, typ=spec.TYP_ACT, what=_WHAT)
    claims = message.claims
    exact(claims, _WHAT, frozenset({"aud", "jti", "grant_id", "iat", "act", "do"}))
    if claims["aud"] != consent:
        raise MessageError(f"{_WHAT}: made for another consent service")
    with reading(_WHAT):
        return VerifiedAct(
            id=members.identifier(claims, "jti", what=_WHAT),
            grant_id=members.identifier(claims, "grant_id", what=_WHAT),
            issued=members.integer(claims, "iat", what=_WHAT),
            number=members.integer(claims, "act", what=_WHAT, minimum=1, maximum=MAX_ACT),
            deed=_deed(members.mapping(claims, "do", what=_WHAT)),
            key=message.key,
            digest=message.digest,
        )


def _deed(do: dict[str, Any]) -> Deed:
    match do.get("verb"):
        case "pause":
            exact(do, _WHAT, frozenset({"verb"}))
            return Pause()
        case "resume":
            exact(do, _WHAT, frozenset({"verb"}))
            return Resume()
        case "amend":
            exact(do, _WHAT, frozenset({"verb", "authorization_details"}))
            return Amend(parse_details(do, what=_WHAT))
    raise MessageError(f"{_WHAT}: verb must be pause, resume or amend")
