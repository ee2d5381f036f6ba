"""did:jwk: an identifier that is a JWK in base64url (https://github.com/quartzjer/did-jwk, spec.md).

One key has many spellings; ``create`` writes the canonical JSON of the members that make the key
(RFC 8785), ``resolve`` reads any.
"""

from typing import Any

from identity.codec import base64url, jcs, strict_json
from identity.did.document import AGREEMENT, SIGNING, Method, document
from identity.errors import DidError, EncodingError, KeyMaterialError
from identity.keys.agreement import AgreementPublicKey
from identity.keys.public_key import PublicKey

PREFIX = "did:jwk:"
FRAGMENT = "0"

MAX_CHARACTERS = 1024
"""A P-521 key with kid, use and alg has about 450."""


def create(key: PublicKey | AgreementPublicKey) -> str:
    """Raises KeyMaterialError for an RSA key."""
    return PREFIX + base64url.encode(jcs.canonicalize(key.jwk()))


def key_of(did: str) -> PublicKey:
    """The key that verifies signatures of ``did``. Raises DidError."""
    jwk = _jwk(did)
    if jwk.get("crv") == "X25519" or jwk.get("use", "sig") != "sig":
        raise DidError("did:jwk: is a key for agreement, expected one that signs")
    return _signing_key(jwk)


def resolve(did: str) -> dict[str, Any]:
    """The DID document; its relationships follow the key's ``use``. Raises DidError."""
    jwk = _jwk(did)
    if jwk.get("crv") == "X25519":
        relationships = AGREEMENT
        try:
            AgreementPublicKey.from_jwk({name: jwk[name] for name in ("kty", "crv", "x") if name in jwk})
        except KeyMaterialError as fault:
            raise DidError(f"did:jwk: {fault}") from None
    else:
        # An Ed25519 key cannot agree, whatever it says about its use.
        relationships = SIGNING if _signing_key(jwk).curve == "Ed25519" else SIGNING + AGREEMENT
    use = jwk.get("use")
    if use not in (None, "sig", "enc"):
        raise DidError("did:jwk: use must be sig or enc")
    if use is not None:
        wanted = SIGNING if use == "sig" else AGREEMENT
        relationships = tuple(name for name in relationships if name in wanted)
    return document(did, Method(FRAGMENT, jwk, relationships))


def _jwk(did: str) -> dict[str, Any]:
    if not did.startswith(PREFIX):
        raise DidError(f"did:jwk: does not begin with {PREFIX}")
    if len(did) > MAX_CHARACTERS:
        raise DidError(f"did:jwk: {len(did)} characters, at most {MAX_CHARACTERS} are read")
    try:
        jwk = strict_json.parse_object(base64url.decode(did.removeprefix(PREFIX), what="did:jwk"), what="did:jwk")
    except EncodingError as fault:
        raise DidError(str(fault)) from None
    if "d" in jwk:
        raise DidError("did:jwk: holds a private key; whoever saw it can sign")
    return jwk


def _signing_key(jwk: dict[str, Any]) -> PublicKey:
    try:
        # What the key is for was judged above; an EC key for agreement has the same coordinates.
        return PublicKey.from_jwk_members({name: value for name, value in jwk.items() if name not in ("use", "alg")})
    except KeyMaterialError as fault:
        raise DidError(f"did:jwk: {fault}") from None
