"""Where an authorization answer may be sent (RFC 6749 section 3.1.2, RFC 8252 section 7).

An address is compared as text and never normalised: what was pushed is what is used. What two
readers of addresses could read differently is refused.
"""

import re
from enum import Enum
from urllib.parse import urlencode, urlsplit

from identity.errors import ProtocolError
from identity.fetch import is_loopback
from identity.openid4vci.spec import INVALID_REQUEST

MAX_REDIRECT_URI = 2_048

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.ASCII)
"""RFC 3986 without ``#``: no space, no backslash, nothing that a browser would repair."""

_AUTHORITY = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+", re.ASCII)
"""RFC 8252 section 7.1: a domain of the app's own, in reverse."""


class RedirectPolicy(Enum):
    """Which addresses clients that prove nothing about themselves may use."""

    HTTPS_OR_LOOPBACK = "https or loopback"
    """The sandbox: wallets under test live at public addresses too."""
    NATIVE_ONLY = "loopback or a private-use scheme"
    """Outside it: without an attestation nobody says whose https address it is."""


def require(uri: str, policy: RedirectPolicy) -> None:
    """Raises ProtocolError."""
    if len(uri) > MAX_REDIRECT_URI or not _CHARACTERS.fullmatch(uri):
        raise _refused("must be an absolute address without fragment and odd characters")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise _refused("is not an address") from None
    if _PRIVATE_SCHEME.fullmatch(parts.scheme) and policy is RedirectPolicy.NATIVE_ONLY:
        if parts.netloc:
            raise _refused("a private-use address has no host")
        return
    if parts.scheme not in ("http", "https") or not _AUTHORITY.fullmatch(parts.netloc):
        raise _refused(f"must be {policy.value}")
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return
    if parts.scheme == "https" and policy is RedirectPolicy.HTTPS_OR_LOOPBACK:
        return
    raise _refused(f"must be {policy.value}")


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """The address with these parameters added to its query (RFC 6749 section 4.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(INVALID_REQUEST, f"redirect_uri: {reason}")
