"""Enrolment at the consent service (WIRE C10): the nonce that ties a presentation to an account key."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent import spec
from consent.signed_message import exact, reading
from identity.codec import base64url, members
from identity.codec.length_prefix import prefixed
from identity.keys.agreement import AgreementPublicKey

RANDOM_BYTES = 32
NONCE_SECONDS = 600
_WHAT = "enrolment"


def account_nonce(consent: str, thumbprint: str, random: bytes) -> str:
    """The wallet recomputes it before presenting: the presentation counts for its own key only."""
    return base64url.encode(sha256(prefixed(spec.TAG_ACCOUNT, consent, thumbprint, random)).digest())


@dataclass(frozen=True, slots=True)
class Enrolment:
    vp_token: Mapping[str, Any]
    view_key: AgreementPublicKey


def parse_enrolment(body: Mapping[str, Any]) -> Enrolment:
    """The body of ``POST /me/account``. Raises MessageError."""
    exact(body, _WHAT, frozenset({"vp_token", "view_jwk"}))
    with reading(_WHAT):
        return Enrolment(
            members.mapping(body, "vp_token", what=_WHAT),
            AgreementPublicKey.from_jwk(members.mapping(body, "view_jwk", what=_WHAT)),
        )
