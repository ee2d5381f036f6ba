"""The holder's side: choosing disclosures by claim path, and the Key Binding JWT (RFC 9901 sections 7.2, 4.3)."""

from collections.abc import Iterable, Mapping
from typing import Any

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import SdJwtError
from identity.formats.sd_jwt import claim_path
from identity.formats.sd_jwt.claim_path import ClaimPath, Location
from identity.formats.sd_jwt.compact import UnverifiedSdJwt, format
from identity.formats.sd_jwt.processing import ProcessedPayload, hash_function, process
from identity.formats.sd_jwt.spec import HASHES, KB_JWT_TYP
from identity.keys.signer import Signer


def present(sd_jwt: UnverifiedSdJwt, disclose: Iterable[ClaimPath]) -> str:
    """The SD-JWT with just the disclosures that ``disclose`` needs, in the order they were issued.

    A path discloses its claim whole, with what is disclosable inside it, and of its parents only
    what leads to it. Raises SdJwtError where a path selects nothing.
    """
    if sd_jwt.key_binding_jwt is not None:
        raise SdJwtError("SD-JWT: is already presented (has a KB-JWT), expected one as issued")
    processed = process(sd_jwt.payload, sd_jwt.disclosures)
    chosen = {processed.disclosures[location].encoded for location in _needed(processed, disclose)}
    return format(sd_jwt.issuer_jwt.compact, [item for item in sd_jwt.disclosures if item in chosen])


def bind(
    presented: str,
    payload: Mapping[str, Any],
    *,
    holder: Signer,
    audience: str,
    nonce: str,
    now: int,
    further: Mapping[str, Any] | None = None,
) -> str:
    """The SD-JWT+KB: ``presented``, which ends in '~', and a KB-JWT over it (section 4.3).

    ``payload`` is that of its Issuer-signed JWT, for the hash function; ``further`` adds claims to
    the KB-JWT (OpenID4VP 1.0 section B.3.3.1 has some).
    """
    hashed = HASHES[hash_function(dict(payload))](presented.encode("ascii"))
    claims = {
        "iat": now,
        "aud": audience,
        "nonce": nonce,
        "sd_hash": base64url.encode(hashed.digest()),
        **(further or {}),
    }
    return presented + jws.sign(claims, holder, typ=KB_JWT_TYP)


def _needed(processed: ProcessedPayload, disclose: Iterable[ClaimPath]) -> set[Location]:
    needed: set[Location] = set()
    for path in disclose:
        selected = claim_path.select(processed.claims, path)
        if not selected:
            raise SdJwtError("SD-JWT: a path to disclose selects no claim")
        for target in selected:
            for location in processed.disclosures:
                shorter = min(len(location), len(target))
                # a parent of the claim, the claim, or something inside it
                if location[:shorter] == target[:shorter]:
                    needed.add(location)
    return needed
