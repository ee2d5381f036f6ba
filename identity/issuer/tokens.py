"""The token endpoint: a code or a refresh token in, tokens out (OpenID4VCI 1.0 section 6, RFC 6749 sections 4.1.3, 6).

Tokens are opaque and random; their rows are found by hash, and what they open is sealed under them.

An authorization code is spent by its first try, whatever is wrong with it: whoever has it without
its verifier has intercepted it. A pre-authorized code survives a request that is wrong in form; a
wrong transaction code is counted, and after five the code is dead.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from identity.clock import Clock
from identity.codec import base64url
from identity.errors import ProtocolError
from identity.issuer import sealing
from identity.issuer.claims import Sources
from identity.issuer.offers import tx_code_hash
from identity.issuer.proof_of_possession import ProofOfPossession
from identity.issuer.store.offers import CodeRefusal, OfferedCode
from identity.issuer.store.requests import SpentCode
from identity.issuer.store.tokens import NewIssuance, NewTokens, Refreshable, TokenStore
from identity.issuer.tenant import Tenant
from identity.openid4vci import authorization_details, token_request
from identity.openid4vci.spec import (
    BEARER,
    DPOP,
    INVALID_AUTHORIZATION_DETAILS,
    INVALID_DPOP_PROOF,
    INVALID_GRANT,
    INVALID_REQUEST,
    INVALID_SCOPE,
    REFRESH_TOKEN,
)
from identity.openid4vci.token_request import CodeRequest, PreAuthorizedRequest, RefreshRequest
from identity.randomness import Random

ACCESS_SECONDS = 600
"""Enough to fetch every credential of an offer over a slow line."""


class Tokens:
    def __init__(
        self,
        tenant: Tenant,
        store: TokenStore,
        sources: Sources,
        proofs: ProofOfPossession,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._sources = sources
        self._proofs = proofs
        self._clock = clock
        self._random = random

    def redeem(self, form: Mapping[str, str], dpop_fields: Sequence[str]) -> dict[str, Any]:
        """The token answer. Raises ProtocolError.

        The proof is checked before a code is looked at: a client that lacks a nonce asks again.
        """
        request = token_request.parse(form, issuer=self._tenant.issuer)
        jkt = self._proofs.thumbprint(dpop_fields, url=self._tenant.at.token)
        if isinstance(request, PreAuthorizedRequest):
            return self._pre_authorized(request, jkt)
        if isinstance(request, CodeRequest):
            return self._code(request, jkt)
        return self._refresh(request, jkt)

    def _pre_authorized(self, request: PreAuthorizedRequest, jkt: str | None) -> dict[str, Any]:
        new = _Secrets(self._random)

        def make(found: OfferedCode) -> NewIssuance:
            wanted = self._part(request.details, found.configurations)
            new.by_details = request.details is not None
            return NewIssuance(
                client_id=request.client_id,
                jkt=jkt,
                configurations=wanted,
                by_details=new.by_details,
                expires=self._now + self._tenant.refresh_seconds,
                tokens=self._tokens(new, sealing.unseal(request.code, found.sealed), wanted),
            )

        hashed = None if request.tx_code is None else tx_code_hash(request.code, request.tx_code)
        refusal = self._store.redeem_pre_authorized(sealing.name(request.code), hashed, now=self._now, make=make)
        if refusal is CodeRefusal.TX_CODE_MISSING:
            raise ProtocolError(INVALID_REQUEST, "token request: this code needs its tx_code (section 6.3)")
        if refusal is CodeRefusal.TX_CODE_UNEXPECTED:
            raise ProtocolError(INVALID_REQUEST, "token request: this code has no tx_code (section 6.3)")
        if refusal is CodeRefusal.WRONG_TX_CODE:
            raise ProtocolError(INVALID_GRANT, "token request: the tx_code is wrong")
        if refusal is not None:
            raise ProtocolError(INVALID_GRANT, "token request: the code is unknown, used or too old")
        return new.answer(self._tenant, self._sources, jkt)

    def _code(self, request: CodeRequest, jkt: str | None) -> dict[str, Any]:
        new = _Secrets(self._random)

        def make(found: SpentCode) -> NewIssuance | Exception:
            try:
                _require_own_code(found, request, jkt)
                wanted = self._part(request.details, found.configurations)
            except ProtocolError as fault:
                return fault
            new.by_details = found.by_details or request.details is not None
            return NewIssuance(
                client_id=request.client_id,
                jkt=jkt,
                configurations=wanted,
                by_details=new.by_details,
                expires=self._now + self._tenant.refresh_seconds,
                tokens=self._tokens(new, sealing.unseal(request.code, found.sealed), wanted),
            )

        if not self._store.redeem_authorization_code(sealing.name(request.code), now=self._now, make=make):
            raise ProtocolError(INVALID_GRANT, "token request: the code is unknown, used or too old")
        return new.answer(self._tenant, self._sources, jkt)

    def _refresh(self, request: RefreshRequest, jkt: str | None) -> dict[str, Any]:
        new = _Secrets(self._random)

        def make(found: Refreshable) -> NewTokens:
            issuance = found.issuance
            # RFC 9449 section 5, RFC 6749 section 10.4: the key, and the client, that it was given to
            if issuance.jkt != jkt or (request.client_id is not None and issuance.client_id != request.client_id):
                raise ProtocolError(INVALID_GRANT, "token request: the refresh token is bound to another key or client")
            if not found.sealed:
                # Retired: the store notices it right after this.
                return self._tokens(new, b"", ())
            wanted = self._part(request.details, issuance.configurations)
            if request.scopes is not None:
                of_scopes = self._tenant.of_scopes(request.scopes)
                if not of_scopes or not set(of_scopes) <= set(wanted):
                    raise ProtocolError(INVALID_SCOPE, "token request: more than was granted (RFC 6749 section 6)")
                wanted = of_scopes
            new.by_details = issuance.by_details or request.details is not None
            return self._tokens(new, sealing.unseal(request.refresh_token, found.sealed), wanted)

        if not self._store.refresh(sealing.name(request.refresh_token), now=self._now, make=make):
            raise ProtocolError(INVALID_GRANT, "token request: the refresh token is unknown, used or too old")
        return new.answer(self._tenant, self._sources, jkt)

    @property
    def _now(self) -> int:
        return int(self._clock())

    def _part(self, details: tuple[str, ...] | None, granted: tuple[str, ...]) -> tuple[str, ...]:
        """A subset may be asked for (section 6.1.1), more than what was granted not."""
        if details is None:
            return granted
        known = self._tenant.known(details)
        if not set(known) <= set(granted):
            raise ProtocolError(INVALID_AUTHORIZATION_DETAILS, "authorization_details: more than was granted")
        return known

    def _tokens(self, new: "_Secrets", subject: bytes, configurations: tuple[str, ...]) -> NewTokens:
        new.configurations = configurations
        return NewTokens(
            access_hash=sealing.name(new.access),
            access_sealed=sealing.seal(new.access, subject, self._random),
            access_expires=self._now + ACCESS_SECONDS,
            access_configurations=configurations,
            refresh_hash=sealing.name(new.refresh),
            refresh_sealed=sealing.seal(new.refresh, subject, self._random),
        )


class _Secrets:
    """The new tokens themselves, which leave in the answer and stay nowhere."""

    def __init__(self, random: Random) -> None:
        self.access = sealing.fresh(random)
        self.refresh = sealing.fresh(random)
        self.configurations: tuple[str, ...] = ()
        self.by_details = False

    def answer(self, tenant: Tenant, sources: Sources, jkt: str | None) -> dict[str, Any]:
        """Section 6.2."""
        body: dict[str, Any] = {
            "access_token": self.access,
            "token_type": BEARER if jkt is None else DPOP,
            "expires_in": ACCESS_SECONDS,
            REFRESH_TOKEN: self.refresh,
            "scope": " ".join(dict.fromkeys(tenant.types[name].scope for name in self.configurations)),
        }
        datasets = {name: sources.datasets(tenant.types[name]) for name in self.configurations}
        if self.by_details or any(count > 1 for count in datasets.values()):
            body["authorization_details"] = authorization_details.format(
                {name: [dataset_identifier(name, at) for at in range(count)] for name, count in datasets.items()}
            )
        return body


def dataset_identifier(configuration: str, dataset: int) -> str:
    return f"{configuration}.{dataset}"


def parse_dataset_identifier(identifier: str) -> tuple[str, int] | None:
    """Configuration and dataset; None for what we never give out."""
    configuration, separator, number = identifier.rpartition(".")
    if not separator or not number.isascii() or not number.isdigit() or len(number) > 4:
        return None
    dataset = int(number)
    return (configuration, dataset) if dataset_identifier(configuration, dataset) == identifier else None


def _require_own_code(found: SpentCode, request: CodeRequest, jkt: str | None) -> None:
    """The client, address and key of the authorization request (RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 9449
    section 10)."""
    if found.client_id != request.client_id:
        raise ProtocolError(INVALID_GRANT, "token request: the code was given to another client")
    if found.redirect_uri != request.redirect_uri:
        raise ProtocolError(INVALID_GRANT, "token request: redirect_uri is not the one of the authorization request")
    challenge = base64url.encode(sha256(request.code_verifier.encode("ascii")).digest())
    if not hmac.compare_digest(challenge, found.code_challenge):
        raise ProtocolError(INVALID_GRANT, "token request: code_verifier does not fit the code_challenge")
    if found.jkt is not None and found.jkt != jkt:
        raise ProtocolError(INVALID_DPOP_PROOF, "token request: needs a DPoP proof by the key of the request")
