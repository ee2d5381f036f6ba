"""Making the presentations of an answer: each from a copy that is spent before it leaves."""

from collections.abc import Mapping, Sequence

from identity.formats.sd_jwt_vc import present
from identity.keys.signer import SoftwareSigner
from wallet_cli.errand import Errand
from wallet_cli.present import copies
from wallet_cli.present.choose import Part


def presentation(errand: Errand, part: Part, *, audience: str, nonce: str) -> str:
    """One SD-JWT+KB that discloses the claims of ``part`` and no more. Raises RequestRefused, IdentityError."""
    copy = copies.take(errand, part.held.credential)
    return present.present(
        copy.body,
        disclose=part.claims,
        audience=audience,
        nonce=nonce,
        now=errand.now,
        holder=SoftwareSigner.from_jwk(copy.key),
    )


def vp_token(errand: Errand, parts: Sequence[Part], *, audience: str, nonce: str) -> Mapping[str, list[str]]:
    """OpenID4VP 1.0 section 8.1: query id → presentations."""
    return {part.query_id: [presentation(errand, part, audience=audience, nonce=nonce)] for part in parts}
