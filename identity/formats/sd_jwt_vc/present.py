"""Presenting an SD-JWT VC: chosen claims and a Key Binding JWT (SD-JWT VC section 2.4, OpenID4VP 1.0 section B.3)."""

from collections.abc import Iterable, Sequence
from typing import Any

from identity.errors import CredentialError
from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt import present as core
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.formats.sd_jwt_vc import credential
from identity.formats.sd_jwt_vc.spec import TRANSACTION_DATA_HASHES, TRANSACTION_DATA_HASHES_ALG
from identity.keys.signer import Signer


def present(
    sd_jwt: str,
    *,
    disclose: Iterable[ClaimPath],
    audience: str,
    nonce: str,
    now: int,
    holder: Signer,
    transaction_data_hashes: Sequence[str] | None = None,
    transaction_data_hashes_alg: str | None = None,
) -> str:
    """The SD-JWT+KB that discloses what ``disclose`` selects and no more.

    ``sd_jwt`` is the copy as issued and verified then; ``now`` a NumericDate. The hashes are given
    by OpenID4VP, with the name of their hash function where the request had named some.
    Raises CredentialError where ``holder`` is not the key that the credential is bound to.
    """
    parts = compact.parse(sd_jwt, what=credential.WHAT)
    bound_to = credential.holder_key(parts.payload)
    if bound_to is None or bound_to != holder.public_key:
        raise CredentialError("SD-JWT VC: is not bound to this holder key")
    further: dict[str, Any] = {}
    if transaction_data_hashes is not None:
        further[TRANSACTION_DATA_HASHES] = list(transaction_data_hashes)
    if transaction_data_hashes_alg is not None:
        further[TRANSACTION_DATA_HASHES_ALG] = transaction_data_hashes_alg
    return core.bind(
        core.present(parts, disclose),
        parts.payload,
        holder=holder,
        audience=audience,
        nonce=nonce,
        now=now,
        further=further,
    )
