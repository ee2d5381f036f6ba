"""Issuing an SD-JWT VC (draft-ietf-oauth-sd-jwt-vc-24 section 2.2)."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from identity.errors import CredentialError
from identity.formats.sd_jwt import issue as core
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.formats.sd_jwt_vc.spec import REGISTERED, TYP
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.randomness import Random


def issue(
    *,
    claims: Mapping[str, Any],
    disclosable: Iterable[ClaimPath],
    vct: str,
    issuer: str,
    signer: Signer,
    x5c: Sequence[bytes] = (),
    holder_key: PublicKey | None,
    iat: int | None,
    exp: int,
    nbf: int | None = None,
    status: Mapping[str, Any] | None = None,
    random: Random,
    decoys: int = 0,
    kid: str | None = None,
) -> str:
    """One credential copy in compact form, all disclosures with it.

    ``x5c`` is the chain in DER from the signer's certificate up, without the root; ``kid`` serves
    issuers known by their metadata. ``iat``, ``exp`` and ``nbf`` are NumericDates and should be
    coarse, since two copies with the same odd second are one resident. ``status`` is the whole
    claim, ``{"status_list": {"idx", "uri"}}``. Raises CredentialError and SdJwtError.
    """
    if taken := REGISTERED & claims.keys():
        raise CredentialError(f"SD-JWT VC: claim {min(taken)!r} is set by the issuing itself")
    # Only the resident's claims can be hidden: what is set below controls validity and stays open.
    concealed, disclosures = core.conceal(claims, disclosable, random=random, decoys=decoys)
    payload: dict[str, Any] = {"iss": issuer, "vct": vct}
    if iat is not None:
        payload["iat"] = iat
    if nbf is not None:
        payload["nbf"] = nbf
    payload["exp"] = exp
    if status is not None:
        payload["status"] = status
    if holder_key is not None:
        payload["cnf"] = {"jwk": holder_key.jwk()}
    payload |= concealed
    header: dict[str, Any] = {}
    if kid is not None:
        header["kid"] = kid
    if x5c:
        # RFC 7515 section 4.1.6: base64, not base64url
        header["x5c"] = [b64encode(certificate).decode("ascii") for certificate in x5c]
    return core.sign(payload, disclosures, signer, typ=TYP, header=header)
