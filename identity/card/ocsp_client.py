"""Asking a certificate authority's responder (RFC 6960 appendix A.1).

Which addresses may be asked is the profile's to say (``CardProfile.permits_ocsp``) and is said
before this is called. Plain http is usual here: the answer is signed and says itself what it is
about. Redirects are not followed, and size and time are capped.
"""

from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from identity.errors import FetchError
from identity.fetch import host_of, tls_context

if TYPE_CHECKING:
    import ssl

    import httpx

REQUEST_TYPE = "application/ocsp-request"
RESPONSE_TYPE = "application/ocsp-response"

MAX_ANSWER_BYTES = 16_384
"""An answer with its signer's certificate has 2 KiB."""

TIMEOUT_SECONDS = 5.0
"""For the whole exchange: somebody waits before a screen, and a responder that trickles is down."""


class OcspTransport(Protocol):
    def post(self, url: str, request: bytes) -> bytes:
        """The body of a 200 answer of the right media type. Raises FetchError."""
        ...


class OcspClient:
    """The transport over HTTP. ``transport`` lets a test answer in place of the network."""

    def __init__(
        self,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: "httpx.BaseTransport | None" = None,
        passed: Callable[[], float] = monotonic,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._transport = transport
        self._passed = passed

    def post(self, url: str, request: bytes) -> bytes:
        import httpx

        started = self._passed()
        headers = {"Content-Type": REQUEST_TYPE, "Accept": RESPONSE_TYPE, "Accept-Encoding": "identity"}
        try:
            with (
                httpx.Client(
                    verify=self._tls if self._transport is None else True,
                    timeout=self._timeout_seconds,
                    transport=self._transport,
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
                client.stream("POST", url, content=request, headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    raise FetchError(f"OCSP: {host_of(url)} answered {answer.status_code}, expected 200")
                if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() != RESPONSE_TYPE:
                    raise FetchError(f"OCSP: {host_of(url)} sent another media type than {RESPONSE_TYPE}")
                if "Content-Encoding" in answer.headers:
                    # Nobody asked for one, and what is packed is counted only once it is unpacked.
                    raise FetchError(f"OCSP: {host_of(url)} sent a packed answer")
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise FetchError(f"OCSP: {host_of(url)} sent more than {MAX_ANSWER_BYTES} bytes")
                    if self._passed() - started > self._timeout_seconds:
                        raise FetchError(f"OCSP: {host_of(url)} took more than {self._timeout_seconds:g} s")
                return bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise FetchError(f"OCSP: {host_of(url)} cannot be reached ({type(fault).__name__})") from None

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        return tls_context()
