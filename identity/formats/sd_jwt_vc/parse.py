"""Reading an SD-JWT VC without verifying it: for a wallet that chooses among its own copies."""

from dataclasses import dataclass
from typing import Any

from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt.processing import process
from identity.formats.sd_jwt_vc import credential
from identity.keys.public_key import PublicKey


@dataclass(frozen=True, slots=True)
class UnverifiedSdJwtVc:
    """Nothing in it is a fact, unless whoever stored it had verified it."""

    header: dict[str, Any]
    iss: str
    vct: str
    aka_vcts: tuple[str, ...]
    claims: dict[str, Any]
    """Processed, with all that is disclosed in this copy."""
    disclosable: tuple[Location, ...]
    """Where the disclosures stand in ``claims``: what presenting can leave out."""
    holder_key: PublicKey | None
    status: tuple[str, int] | None
    """Address of the list, index."""
    exp: int | None
    nbf: int | None
    iat: int | None
    has_key_binding: bool


def peek(sd_jwt: str) -> UnverifiedSdJwtVc:
    """Raises SdJwtError, EnvelopeError, CredentialError on what could never be a credential."""
    parts = compact.parse(sd_jwt, what=credential.WHAT)
    processed = process(parts.payload, parts.disclosures)
    claims = processed.claims
    return UnverifiedSdJwtVc(
        header=parts.issuer_jwt.header,
        iss=credential.name(claims, "iss"),
        vct=credential.name(claims, "vct"),
        aka_vcts=credential.other_types(claims),
        claims=claims,
        disclosable=tuple(processed.disclosures),
        holder_key=credential.holder_key(claims),
        status=credential.status(claims),
        exp=credential.date(claims, "exp"),
        nbf=credential.date(claims, "nbf"),
        iat=credential.date(claims, "iat"),
        has_key_binding=parts.key_binding_jwt is not None,
    )
