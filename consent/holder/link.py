"""The holder link (WIRE C8): once per wallet and data holder, a key for that data holder alone.

The wallet seals to the data holder its link key and a presentation whose nonce covers that key: so
nobody but the data holder reads it, and nobody can pass it on under a key of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent import spec
from consent.signed_message import exact, reading
from identity.codec import base64url, members, strict_json
from identity.codec.length_prefix import prefixed
from identity.envelope import hpke
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey

PRESENTATION_SECONDS = 300
_WHAT = "holder link"


def link_nonce(holder: str, thumbprint: str, mailbox: str) -> str:
    return base64url.encode(sha256(prefixed(spec.TAG_LINK, holder, thumbprint, mailbox)).digest())


@dataclass(frozen=True, slots=True)
class LinkRequest:
    link_key: PublicKey
    mailbox: str
    vp_token: str
    """One SD-JWT+KB, not yet verified."""

    def nonce(self, holder: str) -> str:
        """What the presentation must have signed."""
        return link_nonce(holder, self.link_key.thumbprint, self.mailbox)


def seal_link(recipient: AgreementPublicKey, *, holder: str, link_key: PublicKey, mailbox: str, vp_token: str) -> str:
    plaintext = strict_json.compact({"link_jwk": link_key.jwk(), "mailbox": mailbox, "vp_token": vp_token})
    return hpke.seal(recipient, spec.INFO_LINK + holder.encode(), plaintext)


def open_link(private: AgreementPrivateKey, body: Mapping[str, Any], *, holder: str) -> LinkRequest:
    """The body of ``POST /links``. Raises MessageError."""
    exact(body, _WHAT, frozenset({"sealed"}))
    with reading(_WHAT):
        sealed = members.text(body, "sealed", what=_WHAT, max_length=spec.MAX_JWS)
        plaintext = hpke.open_sealed(private, spec.INFO_LINK + holder.encode(), sealed, what=_WHAT)
        value = strict_json.parse_object(plaintext, what=_WHAT)
        exact(value, _WHAT, frozenset({"link_jwk", "mailbox", "vp_token"}))
        return LinkRequest(
            PublicKey.from_jwk(members.mapping(value, "link_jwk", what=_WHAT)),
            members.identifier(value, "mailbox", what=_WHAT),
            members.text(value, "vp_token", what=_WHAT, max_length=spec.MAX_JWS),
        )
