"""SD-JWT VC: the literal names of the wire, spelled once (draft-ietf-oauth-sd-jwt-vc-24).

https://datatracker.ietf.org/doc/html/draft-ietf-oauth-sd-jwt-vc-24
"""

TYP = "dc+sd-jwt"
"""Section 2.2.1. The older ``vc+sd-jwt`` is refused: the transition ended with -19."""

FORMAT = "dc+sd-jwt"
"""The format identifier of OpenID4VCI 1.0 and OpenID4VP 1.0."""

NEVER_DISCLOSABLE = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Section 2.2.2.3: these, and what is inside them, always stand open in the payload."""

REGISTERED = NEVER_DISCLOSABLE | {"iat"}
"""What ``issue`` sets from its own parameters."""

TRANSACTION_DATA_HASHES = "transaction_data_hashes"
TRANSACTION_DATA_HASHES_ALG = "transaction_data_hashes_alg"
"""Members of the KB-JWT, OpenID4VP 1.0 section B.3.3.1."""
