"""A city without a network: its certificates, its signed list, an issuer, a resident's wallet."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atorga.town.pki import ACCESS, ISSUERS, REGISTRY, TownPki
from identity.errors import CredentialRevoked
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import link
from identity.openid4vp.match import evaluate
from identity.openid4vp.request import VerifiedAuthorizationRequest, read_parameters, read_request
from identity.trust.issuers import IssuerTrust
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry

NOW = 1_800_000_000
ISS = "https://issuer.example/bcn"
VERIFIER_URL = "https://verifier.example"
RESIDENCY = "urn:atorga:residency:1"
PAIRWISE = "urn:atorga:pairwise:1"
PORTAL = "urn:atorga:party:portal"
CONSENT = "urn:atorga:party:consent"

RESIDENT = {
    "municipality": "Barcelona",
    "district": "Gràcia-2c81",
    "neighbourhood": "la Salut-77b0",
    "resident_since": "2011-03-01",
}
IDS = {PORTAL: "kq7portal", CONSENT: "m3xconsent"}

DISTRICT_QUERY = {
    "credentials": [
        {
            "id": "residency",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [RESIDENCY]},
            "claims": [{"path": ["district"]}],
        }
    ]
}


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Certificates:
    """The town's own maker of certificates, at the test's time."""

    def __init__(self, folder: Path, *, now: int, issuer: str, host: str) -> None:
        pki = TownPki(folder, clock=lambda: float(now))
        self.pki = pki
        self.issuer = pki.issuer_signer("bcn", issuer=issuer)
        self.status = pki.status_signer("bcn", issuer=issuer)
        self.unlisted = pki.issuer_signer("other", issuer="https://issuer.example/other")
        self.access = pki.access_certificate("verifier", dns_names=[host])
        self.unlisted_access = pki.access_certificate("stranger", dns_names=["stranger.example"])
        self.registry = pki.registry_signer()

    def root(self, name: str) -> tuple[bytes, ...]:
        return self.pki.root(name).chain()


@dataclass
class Revocations:
    """A status check; ``revoked`` holds indexes."""

    revoked: set[int] = field(default_factory=set)
    asked: list[tuple[str, int] | None] = field(default_factory=list)
    fault: Exception | None = None
    """What breaks while somebody looks."""
    meanwhile: Callable[[], Any] | None = None
    """What happens, once, while somebody looks."""

    def __call__(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        self.asked.append(status)
        if self.fault is not None:
            raise self.fault
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
        if status is not None and status[1] in self.revoked:
            raise CredentialRevoked(f"status: {issuer} has revoked the credential")


@dataclass(frozen=True)
class Copy:
    credential: str
    key: SoftwareSigner


class PaperCity:
    """``issuer`` and ``host`` are its issuer's address and its verifier's host."""

    def __init__(self, folder: Path, *, now: int = NOW, issuer: str = ISS, host: str = "verifier.example") -> None:
        self.now = now
        self.issuer = issuer
        self.certificates = Certificates(folder, now=now, issuer=issuer, host=host)
        self.clock = Clock(now)
        self.revocations = Revocations()
        self.registry_list = self._sign_registry()
        roots = self.certificates.root(REGISTRY)
        self.registry: VerifiedRegistry = verify_registry(self.registry_list, anchors=roots, now=now)
        self.issuer_anchors = self.certificates.root(ISSUERS)
        self.access_anchors = self.certificates.root(ACCESS)
        self.issuers = IssuerTrust(lambda: self.registry, self.issuer_anchors, self.clock)

    def _sign_registry(self) -> str:
        made, now = self.certificates, self.now

        def party(name: str, roles: Sequence[str], x5t: Sequence[str], **more: Any) -> dict[str, Any]:
            return {
                "id": f"urn:atorga:party:{name}",
                "roles": list(roles),
                "name": {"en": name},
                "legal_entity": "none",
                "contact": "mailto:nobody@example.invalid",
                "territory": "ES-CT",
                "from": now - 86_400,
                "to": now + 86_400 * 90,
                "jwk": SoftwareSigner.generate().public_key.jwk(),
                "x5t#S256": list(x5t),
                "endpoints": {},
                **more,
            }

        claims = {
            "iss": "urn:atorga:party:registry",
            "version": 1,
            "iat": now,
            "exp": now + 86_400 * 7,
            "parties": [
                party(
                    "bcn",
                    ["issuer", "status"],
                    [made.issuer.x5t, made.status.x5t],
                    issuer=self.issuer,
                    vcts=[RESIDENCY, PAIRWISE],
                    status_prefixes=[f"{self.issuer}/status/"],
                ),
                party("verifier", ["verifier"], [made.access.x5t]),
            ],
        }
        return sign_registry(claims, made.registry.signer(), made.registry.chain())

    def residency(self, *, index: int | None = 7, **change: Any) -> Copy:
        status = None if index is None else {"status_list": {"uri": f"{self.issuer}/status/1", "idx": index}}
        return self.issued(claims=RESIDENT, disclosable=[(name,) for name in RESIDENT], status=status, **change)

    def pairwise(self, **change: Any) -> Copy:
        disclosable = [("ids", party) for party in IDS]
        return self.issued(claims={"ids": IDS}, disclosable=disclosable, vct=PAIRWISE, **change)

    def issued(self, *, signing: Any = None, **change: Any) -> Copy:
        signing = signing or self.certificates.issuer
        key = SoftwareSigner.generate()
        arguments: dict[str, Any] = {
            "vct": RESIDENCY,
            "issuer": self.issuer,
            "signer": signing.signer(),
            "x5c": signing.chain(),
            "holder_key": key.public_key,
            "iat": self.now - self.now % 86_400,
            "exp": self.now + 86_400,
            "random": secrets.token_bytes,
            **change,
        }
        return Copy(issue(**arguments), key)

    def read(
        self,
        wallet_link: str,
        get: Callable[[str], str],
        *,
        post: Callable[[str], tuple[str, str]] | None = None,
        **change: Any,
    ) -> VerifiedAuthorizationRequest:
        """As a wallet does; ``get`` fetches a request object."""
        parsed = link.parse(wallet_link)
        now = int(self.clock())
        if parsed.request_uri is None:
            return read_parameters(parsed, profile="base", now=now)
        arguments: dict[str, Any] = {
            "client_id": parsed.client_id,
            "profile": "base",
            "anchors": self.access_anchors,
            "registry": self.registry,
            "now": now,
            **change,
        }
        if post is not None:
            compact, arguments["wallet_nonce"] = post(parsed.request_uri)
        else:
            compact = get(parsed.request_uri)
        return read_request(compact, **arguments)

    def vp_token(
        self, request: VerifiedAuthorizationRequest, copies: Sequence[Copy], **change: Any
    ) -> dict[str, list[str]]:
        """What a wallet with these copies presents; ``change`` goes to each presentation."""
        held = [peek(copy.credential) for copy in copies]
        found = evaluate(request.query, held)
        assert not found.missing, found.missing
        answer: dict[str, list[str]] = {}
        for query_id in found.needed:
            candidate = found.candidates[query_id][0]
            copy = copies[held.index(candidate.credential)]
            arguments: Mapping[str, Any] = {
                "disclose": candidate.match.claims,
                "audience": request.client_id,
                "nonce": request.nonce,
                "now": int(self.clock()),
                "holder": copy.key,
                **change,
            }
            answer[query_id] = [present(copy.credential, **arguments)]
        return answer
