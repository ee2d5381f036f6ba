"""The urgent spool (ADR 0009, D3): what a data holder made durable before a release that could not wait.

For accesses that rest on law only, declared urgent by basis and request, while the consent service
does not answer. The statement is delivered later with the basis request; late ones are counted in
public.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

_WHAT = "spooled notice"


@dataclass(frozen=True, slots=True)
class SpooledNotice:
    holder: str
    consent: str
    basis_request_hash: str
    sequence: int
    """Of the data holder's spool: one that is never delivered leaves a gap."""
    time: int
    """NumericDate of the release."""


def sign_spooled(notice: SpooledNotice, signer: Signer) -> str:
    claims = {
        "iss": notice.holder,
        "aud": notice.consent,
        "basis_request_hash": notice.basis_request_hash,
        "sequence": notice.sequence,
        "time": notice.time,
    }
    return sign_by_kid(claims, signer, typ=spec.TYP_SPOOLED_NOTICE)


def verify_spooled(compact: str, *, key_of: Callable[[str], PublicKey], consent: str, holder: str) -> SpooledNotice:
    """Raises MessageError (SenderUnproven) unless this data holder made it for this consent service."""
    message = verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=_WHAT, max_length=spec.MAX_PARTY_ID)),
        typ=spec.TYP_SPOOLED_NOTICE,
        what=_WHAT,
    )
    claims = message.claims
    exact(claims, _WHAT, frozenset({"iss", "aud", "basis_request_hash", "sequence", "time"}))
    if claims["iss"] != holder or claims["aud"] != consent:
        raise MessageError(f"{_WHAT}: of another data holder or for another consent service")
    with reading(_WHAT):
        return SpooledNotice(
            holder=holder,
            consent=consent,
            basis_request_hash=members.digest(claims, "basis_request_hash", what=_WHAT),
            sequence=members.integer(claims, "sequence", what=_WHAT, minimum=1),
            time=members.integer(claims, "time", what=_WHAT),
        )
