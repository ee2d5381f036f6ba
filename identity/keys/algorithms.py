"""The signature algorithms we know, as a table (RFC 7518 section 3.1, RFC 8037, IANA JOSE registry).

A caller passes the names it allows; what is not in the table does not exist.
"""

from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import hashes

Family = Literal["EC", "OKP", "RSA-PKCS1", "RSA-PSS"]


@dataclass(frozen=True, slots=True)
class AlgorithmRow:
    name: str
    family: Family
    curve: str | None
    hash: hashes.HashAlgorithm | None
    signature_bytes: int | None
    """Exact length of a raw r||s or EdDSA signature; None where the key decides (RSA)."""


ROWS = (
    AlgorithmRow("ES256", "EC", "P-256", hashes.SHA256(), 64),
    AlgorithmRow("ES384", "EC", "P-384", hashes.SHA384(), 96),
    AlgorithmRow("ES512", "EC", "P-521", hashes.SHA512(), 132),
    AlgorithmRow("EdDSA", "OKP", "Ed25519", None, 64),
    AlgorithmRow("RS256", "RSA-PKCS1", None, hashes.SHA256(), None),
    AlgorithmRow("RS384", "RSA-PKCS1", None, hashes.SHA384(), None),
    AlgorithmRow("RS512", "RSA-PKCS1", None, hashes.SHA512(), None),
    AlgorithmRow("PS256", "RSA-PSS", None, hashes.SHA256(), None),
    AlgorithmRow("PS384", "RSA-PSS", None, hashes.SHA384(), None),
    AlgorithmRow("PS512", "RSA-PSS", None, hashes.SHA512(), None),
)

BY_NAME = {row.name: row for row in ROWS}
BY_CURVE = {row.curve: row for row in ROWS if row.curve}
