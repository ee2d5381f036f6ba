"""The whole check of a VP Token (OpenID4VP 1.0 sections 8.6, 14.1.2, 14.9): refused unless every step held.

 1. The VP Token: an object of lists under ids of the query, one presentation in each unless
    ``multiple``, none of them twice (section 8.1).
For every presentation (``formats/sd_jwt_vc/verify``, whose own list is longer):
 2. Form; a key named for this issuer and type by chain AND registry entry; the issuer's signature.
 3. Disclosures, each referenced by exactly one digest.
 4. Validity now.
 5. Key binding: nonce, aud, iat and sd_hash of this transaction, by the key in ``cnf``.
 6. The type is one asked for; by ``aka_vcts`` only if the issuer is listed for that one too.
 7. The claims asked for are there with the values asked for (section 14.9: whatever the wallet
    promised); what was disclosed beyond is named in the result and is no part of its claims.
Then, over all:
 8. The query's sets are satisfied, and no credential came that none of them needs.
 9. Status, last: a list says nothing about a credential that is not valid otherwise
    (Token Status List draft -21 section 8.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from identity.errors import CredentialError, ProtocolError, StatusUnavailable
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt.verify import MAX_KEY_BINDING_AGE_SECONDS
from identity.formats.sd_jwt_vc.verify import IssuerKey, VerifiedSdJwtVc, verify
from identity.openid4vp.dcql import CredentialQuery, DcqlQuery
from identity.openid4vp.match import match, pick, unsatisfied
from identity.openid4vp.spec import INVALID_REQUEST, VP_TOKEN

MAX_PRESENTATIONS = 16
"""In all lists of one VP Token: each costs two signatures to verify."""


class StatusCheck(Protocol):
    """Raises StatusError unless the status list says today that the credential is good.

    ``identity.status.checker.StatusChecker.check`` is one.
    """

    def __call__(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None: ...


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """One presentation that passed every step."""

    credential: VerifiedSdJwtVc
    vct: str
    """The type by which it matched the query."""
    claims: dict[str, Any]
    """What the query asked for, and nothing else."""
    extra: tuple[Location, ...]
    """What the wallet disclosed without being asked; its values are to be forgotten."""


@dataclass(frozen=True, slots=True)
class VerifiedPresentation:
    """Made by ``check_presentation`` alone."""

    credentials: Mapping[str, tuple[PresentedCredential, ...]]

    @property
    def claims(self) -> dict[str, list[dict[str, Any]]]:
        """Query id → the claims of each credential presented for it."""
        return {query_id: [one.claims for one in found] for query_id, found in self.credentials.items()}


def check_presentation(
    vp_token: Any,
    query: DcqlQuery,
    *,
    issuer_key: IssuerKey,
    status_check: StatusCheck | None,
    client_id: str,
    nonce: str,
    now: int,
    max_kb_age_seconds: int = MAX_KEY_BINDING_AGE_SECONDS,
) -> VerifiedPresentation:
    """``client_id`` is the audience, in full with its prefix (section 14.8).

    Without ``status_check`` a credential that names a status list is refused. Raises ProtocolError,
    CredentialError, SdJwtError, EnvelopeError, TrustError, StatusError.
    """
    # 1
    presentations = _presentations(vp_token, query)
    found: dict[str, tuple[PresentedCredential, ...]] = {}
    for asked, texts in presentations:
        found[asked.id] = tuple(
            _presented(
                # 2 to 5
                verify(
                    presentation,
                    issuer_key=issuer_key,
                    audience=client_id,
                    nonce=nonce,
                    now=now,
                    max_kb_age_seconds=max_kb_age_seconds,
                ),
                asked,
                issuer_key,
            )
            for presentation in texts
        )
    # 8
    if (reason := unsatisfied(query, found.keys())) is not None:
        raise CredentialError(f"{VP_TOKEN}: {reason}")
    # 9
    for one in (one for several in found.values() for one in several):
        _check_status(one.credential, status_check, now)
    return VerifiedPresentation(found)


def _presentations(vp_token: Any, query: DcqlQuery) -> list[tuple[CredentialQuery, list[str]]]:
    if not isinstance(vp_token, dict) or not vp_token:
        raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: must be an object with an entry for each query answered")
    found: list[tuple[CredentialQuery, list[str]]] = []
    for query_id, entry in vp_token.items():
        asked = query.credential(query_id)
        if asked is None:
            raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: has an entry under an id that was not asked")
        if not isinstance(entry, list) or not entry or not all(isinstance(one, str) for one in entry):
            raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: {query_id!r} must be a list of presentations, as texts")
        if len(entry) > 1 and not asked.multiple:
            raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: {query_id!r} has several presentations, one was asked")
        # The same credential twice must not count as two, whatever their key bindings.
        if len({one.partition("~")[0] for one in entry}) != len(entry):
            raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: {query_id!r} has the same credential twice")
        found.append((asked, entry))
    if sum(len(entry) for _, entry in found) > MAX_PRESENTATIONS:
        raise ProtocolError(INVALID_REQUEST, f"{VP_TOKEN}: more than {MAX_PRESENTATIONS} presentations")
    return found


def _presented(credential: VerifiedSdJwtVc, asked: CredentialQuery, issuer_key: IssuerKey) -> PresentedCredential:
    # 6, 7
    matched = match(asked, credential)
    if matched is None:
        raise CredentialError(f"{VP_TOKEN}: what came for {asked.id!r} is not the type, issuer or claims asked for")
    if matched.vct != credential.vct:
        issuer_key(credential.header, credential.iss, matched.vct)
    return PresentedCredential(
        credential=credential,
        vct=matched.vct,
        claims=pick(credential.claims, matched.claims) if matched.claims else {},
        extra=tuple(location for location in credential.disclosed_paths if not _leads_to(location, matched.claims)),
    )


def _leads_to(location: Location, asked: tuple[Location, ...]) -> bool:
    """A disclosure that is asked for, is inside what is asked for, or holds it."""
    return any(location[: len(one)] == one[: len(location)] for one in asked)


def _check_status(credential: VerifiedSdJwtVc, status_check: StatusCheck | None, now: int) -> None:
    if status_check is not None:
        status_check(credential.status, issuer=credential.iss, now=now)
    elif credential.status is not None:
        raise StatusUnavailable("status: the credential has one and nobody here can look it up")
