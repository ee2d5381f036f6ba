"""The error tree of ``verifier``, and the code under which a refusal is known outside.

    VerifierError
     ├── RequestUnknown       no request goes by this name, or no longer
     ├── RequestClosed        the request was answered before, or its time is over
     ├── ResponseRefused      an answer was refused; has a code
     ├── OtherSession         a response code came back in another browser session than it belongs to
     ├── PolicyIncomplete     a policy lacks a verification step and cannot be registered
     ├── NotAsked             the consent service refuses what a service would ask for
     └── DeskClosed           the consent service or the data holder cannot be asked now

A message names the thing, what was found and what was expected; never a secret, never the value of
an attribute.
"""

from identity.errors import (
    CredentialRevoked,
    IdentityError,
    ProtocolError,
    StatusUnavailable,
    TrustError,
)


class VerifierError(Exception):
    """Root of everything this package raises."""


class RequestUnknown(VerifierError):
    """No request goes by this name, or no longer."""


class RequestClosed(VerifierError):
    """The request was answered before, or its time is over."""


class ResponseRefused(VerifierError):
    """An answer was refused; ``code`` goes to the wallet and to whoever asked."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class OtherSession(VerifierError):
    """A response code came back in another browser session than it belongs to."""


class PolicyIncomplete(VerifierError):
    """A policy lacks a verification step and cannot be registered."""


class NotAsked(VerifierError):
    """The consent service refuses what a service would ask for."""


class DeskClosed(VerifierError):
    """The consent service or the data holder cannot be asked now."""


UNTRUSTED_ISSUER = "untrusted_issuer"
CREDENTIAL_REVOKED = "credential_revoked"
STATUS_UNAVAILABLE = "status_unavailable"
INVALID_PRESENTATION = "invalid_presentation"

_CODES: tuple[tuple[type[IdentityError], str], ...] = (
    (TrustError, UNTRUSTED_ISSUER),
    (CredentialRevoked, CREDENTIAL_REVOKED),
    (StatusUnavailable, STATUS_UNAVAILABLE),
    (IdentityError, INVALID_PRESENTATION),
)
"""Where OpenID4VP names no code for a verifier's refusal (section 8.5 has those of a wallet)."""


def refusal(fault: IdentityError) -> ResponseRefused:
    """What the layers below refused, with its code."""
    if isinstance(fault, ProtocolError):
        return ResponseRefused(fault.code, fault.description)
    code = next(code for kind, code in _CODES if isinstance(fault, kind))
    return ResponseRefused(code, str(fault))
