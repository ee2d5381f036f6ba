"""Fetching from other parties, through an allow-list.

Nothing here follows an address because the other party named it: whoever makes a fetcher says
which addresses it may ask. Redirects are not followed (an allowed host must not send us on),
answers are capped in size while they arrive, and plain http is for loopback in the sandbox only.
"""

from collections.abc import Callable
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, urlsplit

from identity.errors import FetchError

if TYPE_CHECKING:
    import ssl

    import httpx

TIMEOUT_SECONDS = 10.0
"""A party that does not answer by then is down; the caller refuses and may try again."""


class Fetcher(Protocol):
    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        """The body of a 200 answer. Raises FetchError."""
        ...


class AllowListFetcher:
    """Fetches what ``allow`` permits.

    ``transport`` lets a test answer in place of the network; ``resolve`` maps a public address to
    a local one (the sandbox wallet's ``--map``).
    """

    def __init__(
        self,
        allow: Callable[[str], bool],
        *,
        allow_loopback_http: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: "httpx.BaseTransport | None" = None,
        resolve: Callable[[str], str] = lambda url: url,
    ) -> None:
        self._allow = allow
        self._allow_loopback_http = allow_loopback_http
        self._timeout_seconds = timeout_seconds
        self._transport = transport
        self._resolve = resolve

    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        import httpx

        require_permitted(url, allow_loopback_http=self._allow_loopback_http)
        if not self._allow(url):
            raise FetchError("fetch: the address is not on the list of permitted ones")
        try:
            with (
                httpx.Client(
                    verify=self._tls if self._transport is None else True,
                    timeout=self._timeout_seconds,
                    transport=self._transport,
                    follow_redirects=False,
                    trust_env=False,
                ) as client,
                client.stream("GET", self._resolve(url), headers={"Accept": accept}) as answer,
            ):
                if answer.status_code != 200:
                    raise FetchError(f"fetch: {host_of(url)} answered {answer.status_code}, expected 200")
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > max_bytes:
                        raise FetchError(f"fetch: {host_of(url)} sent more than {max_bytes} bytes")
                return bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise FetchError(f"fetch: {host_of(url)} cannot be reached ({type(fault).__name__})") from None

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        """Made once: reading the authorities takes 35 ms, a hundred times what a client takes."""
        return tls_context()


def tls_context() -> "ssl.SSLContext":
    """What httpx uses by itself, to be kept by whoever asks more than once."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


def require_permitted(url: str, *, allow_loopback_http: bool) -> None:
    """Refuses what is neither https nor, where allowed, http to this machine. Raises FetchError."""
    parts = split_url(url)
    if parts.scheme == "https":
        return
    if parts.scheme == "http" and allow_loopback_http and is_loopback(parts.hostname or ""):
        return
    raise FetchError("fetch: only https addresses (in the sandbox also http to loopback) are asked")


def split_url(url: str) -> SplitResult:
    """The parts of an absolute http(s) address without user information. Raises FetchError."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        raise FetchError("fetch: not an address") from None
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise FetchError("fetch: not an address with a host and without user information")
    return parts


def host_of(url: str) -> str:
    """Host and port, for errors: the path of an address may hold an identifier."""
    parts = split_url(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
