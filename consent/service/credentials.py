"""How this consent service judges credentials that are about others than its caller: accreditations, mandates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant.accreditation import StatusCheck, VerifiedAccreditation, VerifyAccreditation
from consent.service.enrolling import MakeJar
from consent.service.mandate_presentation import PresentedMandate
from consent.service.representing import CheckMandate
from identity.errors import CredentialError, StatusUnavailable


@dataclass(frozen=True, slots=True)
class Credentials:
    verify_accreditation: VerifyAccreditation
    make_mandate_jar: MakeJar
    check_mandate: CheckMandate
    check_status: StatusCheck


def nobody() -> Credentials:
    """Where nothing says whom to trust: no credential is one."""
    return Credentials(_no_accreditation, _no_jar, _no_mandate, _no_status)


def _no_accreditation(presentation: str, service: str, audience: str, nonce: str) -> VerifiedAccreditation:
    raise CredentialError("accreditation: no issuer is trusted here")


def _no_jar(nonce: str) -> str:
    raise CredentialError("mandate: none are taken here")


def _no_mandate(vp_token: Mapping[str, Any], nonce: str) -> PresentedMandate:
    raise CredentialError("mandate: none are taken here")


def _no_status(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
    raise StatusUnavailable("status: no list is read here")
