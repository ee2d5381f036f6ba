"""The locator (WIRE C3): which link, and so which row, a grant is about; sealed to the data holder.

The link key signs the grant's hash inside it. So the consent service cannot make a grant (it has
no link key), cannot move a locator to another grant (the hash and the sealing name this one), and
never learns whose row it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import base64url, members, strict_json
from identity.envelope import hpke, jws
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

MAX_LOCATOR = 16_384
"""Characters; room for the variant with a presentation (WIRE C14)."""
_WHAT = "locator"


@dataclass(frozen=True, slots=True)
class VerifiedLocator:
    """The link whose key signed exactly this grant."""

    link: str


def seal_locator(recipient: AgreementPublicKey, *, holder: str, grant: str, link: str, link_signer: Signer) -> str:
    signature = sign_by_kid({"grant_hash": jws.digest(grant)}, link_signer, typ=spec.TYP_GRANT_LINK)
    plaintext = strict_json.compact({"link": link, "signature": signature})
    return hpke.seal(recipient, _info(holder, grant), plaintext)


def open_locator(
    private: AgreementPrivateKey,
    sealed: str,
    *,
    holder: str,
    grant: str,
    link_key: Callable[[str], PublicKey | None],
) -> VerifiedLocator:
    """``link_key`` gives the key of a link handle known here. Raises MessageError."""
    with reading(_WHAT):
        plaintext = hpke.open_sealed(private, _info(holder, grant), sealed, what=_WHAT)
        value = strict_json.parse_object(plaintext, what=_WHAT, max_bytes=MAX_LOCATOR)
        exact(value, _WHAT, frozenset({"link", "signature"}))
        link = members.identifier(value, "link", what=_WHAT)
        signature = members.text(value, "signature", what=_WHAT, max_length=4_096)
    key = link_key(link)
    if key is None:
        raise MessageError(f"{_WHAT}: the link is not known here")
    message = verify_by_kid(signature, lambda _: key, typ=spec.TYP_GRANT_LINK, what=_WHAT)
    exact(message.claims, _WHAT, frozenset({"grant_hash"}))
    if message.claims["grant_hash"] != jws.digest(grant):
        raise MessageError(f"{_WHAT}: signed for another grant")
    return VerifiedLocator(link)


def _info(holder: str, grant: str) -> bytes:
    return spec.INFO_LOCATOR + holder.encode() + base64url.decode(jws.digest(grant))
