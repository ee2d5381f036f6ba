"""JWT VC Issuer Metadata (draft-ietf-oauth-sd-jwt-vc-24 section 4): an issuer's keys, from its own address.

Asked only for issuers that the caller has decided to trust: the address is made from ``iss``, and
nobody may send us to an address of his choice (section 7.1). Keys at another host than the issuer's
(``jwks_uri``) are not fetched, for the same reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from identity.clock import Clock
from identity.codec import strict_json
from identity.codec.members import mapping, text
from identity.errors import EncodingError, FetchError, KeyMaterialError, TrustError
from identity.fetch import Fetcher, split_url
from identity.keys.public_key import PublicKey
from identity.trust import spec

WHAT = "issuer metadata"

MAX_BYTES = 65_536
MAX_KEYS = 64
MAX_KID = 512
"""An issuer that changes keys every week keeps a year of them."""

CACHE_SECONDS = 3_600
"""How long a key that its issuer has dropped may still be believed (the draft's own example says 3600)."""

RETRY_SECONDS = 60
"""An unknown ``kid`` may be a new key, or anybody's invention: at most one question a minute for it."""


def metadata_url(iss: str) -> str:
    """Where ``iss`` publishes its keys: the well-known part between host and path. Raises TrustError."""
    try:
        parts = split_url(iss)
    except FetchError:
        raise TrustError(f"{WHAT}: the issuer is not named by an address") from None
    if "?" in iss or "#" in iss:
        raise TrustError(f"{WHAT}: an issuer's address has no query and no fragment")
    # Section 4.1: a terminating slash is removed first.
    return f"{parts.scheme}://{parts.netloc}{spec.JWT_VC_ISSUER}{parts.path.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class _KeySet:
    keys: tuple[PublicKey, ...]
    named: Mapping[str, PublicKey]
    fetched: float

    def find(self, kid: str | None) -> PublicKey | None:
        if kid is not None:
            return self.named.get(kid)
        return self.keys[0] if len(self.keys) == 1 else None


@dataclass(slots=True)
class _Issuer:
    """What is known of one issuer; its lock keeps one slow issuer from holding up the others."""

    lock: Lock = field(default_factory=Lock)
    keys: _KeySet | None = None
    asked: float | None = None


class IssuerMetadata:
    """Keys of issuers, remembered for ``CACHE_SECONDS``. Threads may share one."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._issuers: dict[str, _Issuer] = {}

    def key(self, iss: str, kid: str | None) -> PublicKey:
        """The key named ``kid``; without a name, the only one there is. Raises TrustError."""
        issuer = self._issuers.setdefault(iss, _Issuer())
        with issuer.lock:
            now = self._clock()
            known = issuer.keys
            if known is not None and not known.fetched <= now < known.fetched + CACHE_SECONDS:
                known = None
            key = known.find(kid) if known is not None else None
            if key is None:
                if issuer.asked is not None and issuer.asked <= now < issuer.asked + RETRY_SECONDS:
                    raise TrustError(f"{WHAT}: the issuer publishes no such key, or cannot be asked now")
                issuer.asked = now
                issuer.keys = self._fetch(iss, now)
                key = issuer.keys.find(kid)
        if key is None:
            raise TrustError(f"{WHAT}: the issuer publishes no such key")
        return key

    def _fetch(self, iss: str, now: float) -> _KeySet:
        try:
            answer = self._get(metadata_url(iss))
            # Section 4.3
            if text(answer, "issuer", what=WHAT) != iss:
                raise TrustError(f"{WHAT}: is of another issuer")
            # Section 4.2: one or the other
            if ("jwks" in answer) == ("jwks_uri" in answer):
                raise TrustError(f"{WHAT}: must have either 'jwks' or 'jwks_uri'")
            if "jwks" in answer:
                return _key_set(mapping(answer, "jwks", what=WHAT), now)
            address = text(answer, "jwks_uri", what=WHAT)
            here, there = split_url(iss), split_url(address)
            if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
                raise TrustError(f"{WHAT}: 'jwks_uri' lies at another host than the issuer")
            return _key_set(self._get(address), now)
        except (EncodingError, FetchError) as fault:
            raise TrustError(f"{WHAT}: {fault}") from None

    def _get(self, url: str) -> dict[str, Any]:
        body = self._fetcher.get(url, accept="application/json", max_bytes=MAX_BYTES)
        return strict_json.parse_object(body, what=WHAT, max_bytes=MAX_BYTES)


def _key_set(jwks: Mapping[str, Any], now: float) -> _KeySet:
    """The signing keys of a JWK Set (RFC 7517 section 5: what is not understood is passed over)."""
    entries = jwks.get("keys")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYS:
        raise TrustError(f"{WHAT}: a JWK Set must hold 1 to {MAX_KEYS} keys")
    keys: list[PublicKey] = []
    named: dict[str, PublicKey] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise TrustError(f"{WHAT}: a JWK Set must hold objects")
        if "d" in entry:
            raise TrustError(f"{WHAT}: publishes a private key")
        try:
            keys.append(PublicKey.from_jwk_members(entry))
        except KeyMaterialError:
            continue
        if "kid" in entry:
            kid = text(entry, "kid", what=WHAT, max_length=MAX_KID)
            if kid in named:
                raise TrustError(f"{WHAT}: two keys have one 'kid'")
            named[kid] = keys[-1]
    return _KeySet(tuple(keys), named, now)
