"""An issuer of accreditations and mandates by plain keys: for tests of who may stand in for whom.

Credentials and presentations are real; the trust behind them (a certificate's path, a fetched
status list) is a key and a set, since those have tests of their own.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from consent.grant.accreditation import verifier
from consent.service.credentials import Credentials
from consent.service.mandate_presentation import PresentedMandate
from consent.spec import VCT_ACCREDITATION, VCT_MANDATE
from identity.errors import CredentialError, CredentialRevoked, StatusUnavailable, TrustError
from identity.formats.sd_jwt_vc import issue, present
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.trust.party import Party
from identity.trust.registry import VerifiedRegistry
from tests.consent_city import DAY

ACCREDITOR = "urn:atorga:party:welfare-board"
ISSUER = "https://welfare.example"
STATUS = f"{ISSUER}/status/1"


@dataclass
class Bureau:
    """``revoked``: indexes; ``silent``: the status lists cannot be had."""

    clock: Callable[[], float]
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    revoked: set[int] = field(default_factory=set)
    silent: bool = False
    vcts: tuple[str, ...] = (VCT_ACCREDITATION, VCT_MANDATE)
    is_listed: bool = True

    def party(self) -> Party:
        now = int(self.clock())
        return Party(
            id=ACCREDITOR, roles=frozenset({"issuer"}), name={"en": "Welfare board"}, legal_entity="Region",
            contact="mailto:dpo@welfare.example", territory="ES-CT", valid_from=now - DAY, valid_to=now + 400 * DAY,
            public_key=SoftwareSigner.generate().public_key, certificates=(), issuer=ISSUER, vcts=self.vcts,
            status_prefixes=(f"{ISSUER}/status/",), log_vkey=None, endpoints={},
        )  # fmt: skip

    def listed(self, registry: VerifiedRegistry) -> VerifiedRegistry:
        """The list with this issuer in it."""
        return replace(registry, parties=(*registry.parties, self.party())) if self.is_listed else registry

    # ── what it issues ───────────────────────────────────────────────────────────────────────

    def accreditation(self, organisation: str, holder: PublicKey, *, index: int | None = 1, **changes: Any) -> str:
        now = int(self.clock())
        named: dict[str, Any] = {
            "claims": {"organisation": organisation}, "disclosable": (), "vct": VCT_ACCREDITATION,
            "issuer": ISSUER, "signer": self.signer,
            "holder_key": holder, "iat": now - 60, "exp": now + 7 * DAY, "random": secrets.token_bytes,
            "status": None if index is None else {"status_list": {"idx": index, "uri": STATUS}},
        }  # fmt: skip
        return issue.issue(**named | changes)

    def present(self, credential: str, holder: SoftwareSigner, *, audience: str, nonce: str, now: int = 0) -> str:
        return present.present(
            credential, disclose=(), audience=audience, nonce=nonce, now=now or int(self.clock()), holder=holder
        )

    # ── how it is judged ─────────────────────────────────────────────────────────────────────

    def credentials(self, registry: Callable[[], VerifiedRegistry]) -> Credentials:
        return Credentials(
            verify_accreditation=verifier(
                issuer_key=self.issuer_key, check_status=self.check_status, registry=registry,
                now=lambda: int(self.clock()),
            ),
            make_mandate_jar=lambda nonce: f"mandate-jar.{nonce}",
            check_mandate=self.check_mandate,
            check_status=self.check_status,
        )  # fmt: skip

    def issuer_key(self, header: Mapping[str, Any], iss: str, vct: str) -> PublicKey:
        if iss != ISSUER or not self.is_listed:
            raise TrustError("issuer: not listed")
        return self.signer.public_key

    def check_status(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        if self.silent:
            raise StatusUnavailable("status: no list is there")
        if status is not None and status[1] in self.revoked:
            raise CredentialRevoked(f"status: {issuer} has revoked the credential")

    def check_mandate(self, vp_token: Mapping[str, Any], nonce: str) -> PresentedMandate:
        """A presentation is a few members; ``MandatePresentation`` has tests of its own."""
        if vp_token.get("nonce") != nonce:
            raise CredentialError("presentation: made for another nonce")
        status = (STATUS, int(vp_token["index"]))
        self.check_status(status, issuer=ISSUER, now=int(self.clock()))
        return PresentedMandate(str(vp_token["represented"]), vp_token["claims"], ISSUER, status)
