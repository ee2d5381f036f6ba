"""The error tree of ``identity``.

    IdentityError
     ├── EncodingError          an encoding or a JSON shape is not what its specification says
     ├── KeyMaterialError       a key cannot be used: type, curve, size, form
     ├── KeyUnavailable         whoever holds a key does not answer or does not want to: refused
     ├── SignatureInvalid       a signature does not belong to these bytes and this key
     ├── EnvelopeError          a JWS, JWE or HPKE envelope is refused
     ├── SdJwtError             an SD-JWT breaks RFC 9901
     ├── CredentialError        a credential breaks its profile, its dates or its binding
     ├── TrustError             nobody we trust stands behind this key
     ├── StatusError
     │    ├── StatusUnavailable  we do not know: refused
     │    └── CredentialRevoked  we know: refused
     ├── CardError              an e-ID card, its token or its certificate is refused
     │    └── CardStatusUnavailable  the card's issuer did not say that it is good: refused
     ├── SourceUnavailable      a register does not answer: nothing is said from memory
     ├── FetchError             a permitted address did not answer as it should
     ├── DidError               a DID cannot be read, or its key is not for this use
     └── ProtocolError          an OAuth, OpenID4VCI or OpenID4VP fault with its wire code
          └── AuthorizationRequestRefused  a presentation request whose sender may be told

A message names the thing, what was found and what was expected. It never holds a secret nor an
attribute value: it may be logged, and some of it reaches the other party.
"""


class IdentityError(Exception):
    """Root of everything this package raises on bad input."""


class EncodingError(IdentityError):
    """An encoding or a JSON shape is not what its specification says."""


class KeyMaterialError(IdentityError):
    """A key cannot be used: its type, curve, size or form."""


class KeyUnavailable(IdentityError):
    """The process or token that holds a key does not answer, or refuses; nothing is computed without it."""


class SignatureInvalid(IdentityError):
    """A signature does not belong to these bytes and this key."""


class EnvelopeError(IdentityError):
    """A JWS, JWE or HPKE envelope is refused."""


class SdJwtError(IdentityError):
    """An SD-JWT breaks RFC 9901."""


class CredentialError(IdentityError):
    """A credential breaks its profile, its dates or its binding."""


class TrustError(IdentityError):
    """Nobody we trust stands behind this key."""


class StatusError(IdentityError):
    """The status of a credential forbids its use."""


class StatusUnavailable(StatusError):
    """The status is not known; what is not known is refused."""


class CredentialRevoked(StatusError):
    """The status list says that the credential is no longer valid."""


class CardError(IdentityError):
    """An e-ID card, its token or its certificate is refused."""


class CardStatusUnavailable(CardError):
    """Nobody entitled to it says now that the certificate is good; what is not known is refused."""


class SourceUnavailable(IdentityError):
    """A register (authentic source) does not answer; nothing is issued from memory."""


class FetchError(IdentityError):
    """A permitted address did not answer as it should, or the address is not permitted."""


class ProtocolError(IdentityError):
    """A fault of OAuth, OpenID4VCI or OpenID4VP, with the code that goes on the wire.

    ``code`` is the specification's error code; ``description`` may be shown to the other party.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class AuthorizationRequestRefused(ProtocolError):
    """A request for a presentation is refused after its sender was authenticated.

    ``response_uri`` belongs to the sender: the error may be sent there, with ``state`` (OpenID4VP 1.0 section 8.5).
    """

    def __init__(self, code: str, description: str, response_uri: str, state: str | None) -> None:
        super().__init__(code, description)
        self.response_uri = response_uri
        self.state = state


class DidError(IdentityError):
    """A DID cannot be read, or its key is not for this use."""
