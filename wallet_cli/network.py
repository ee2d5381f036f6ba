"""HTTP as the wallet does it: no redirects, no cookies across parties, answers capped while they arrive.

Outside the sandbox only https. ``--map`` (sandbox) sends what is meant for a public address to a
local one, with the public Host, so that a town under test can use its real names.
httpx is imported by the first request: a command that stays at home does not pay for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from identity.codec import strict_json
from identity.errors import EncodingError, FetchError
from identity.fetch import host_of, require_permitted
from wallet_cli.errors import NetworkError, UsageFault

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES = 1_048_576
"""The largest answer we expect is the signed list of parties (WIRE C12: at most 1 MiB)."""

TIMEOUT_SECONDS = 20.0
"""A use or a grant waits for a disk and a checkpoint; nobody answers later than that."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
JWT = "application/jwt"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    host: str

    def object(self, *, what: str) -> dict[str, Any]:
        """The body as a JSON object. Raises NetworkError."""
        try:
            return strict_json.parse_object(self.body, what=what, max_bytes=MAX_ANSWER_BYTES)
        except EncodingError as fault:
            raise NetworkError("bad_answer", f"{self.host}: {fault}") from None

    def fault(self) -> tuple[str, str]:
        """(``error``, ``error_description``) of an answer that reports one, else the status."""
        try:
            body = strict_json.parse_object(self.body, what="error answer", max_bytes=MAX_ANSWER_BYTES)
        except EncodingError:
            body = {}
        code, description = body.get("error"), body.get("error_description")
        return (
            code if isinstance(code, str) and code else f"http_{self.status}",
            description if isinstance(description, str) else "",
        )

    def expect(self, *statuses: int, what: str) -> "Answer":
        """Itself, or NetworkError with the party's own code."""
        if self.status in statuses:
            return self
        code, description = self.fault()
        raise NetworkError(
            code, f"{what}: {self.host} answered {self.status}" + (f": {description}" if description else "")
        )


def parse_map(entries: list[str]) -> dict[str, str]:
    """``PUBLIC=LOCAL`` entries, both origins. Raises UsageFault."""
    table: dict[str, str] = {}
    for entry in entries:
        public, separator, local = entry.partition("=")
        for side in (public, local):
            parts = urlsplit(side)
            if (
                not separator
                or parts.scheme not in ("http", "https")
                or not parts.netloc
                or parts.path not in ("", "/")
            ):
                raise UsageFault("bad_map", f"--map: {entry!r} is not PUBLIC=LOCAL, two addresses without a path")
        table[public.rstrip("/")] = local.rstrip("/")
    return table


def origin(url: str) -> str:
    """``scheme://host[:port]`` as the address spells it, in lower case."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


@dataclass(slots=True)
class Network:
    sandbox: bool
    maps: Mapping[str, str] = field(default_factory=dict)
    transport: "httpx.BaseTransport | None" = None
    cookies: dict[str, dict[str, str]] | None = None
    """Origin → its cookies; None = kept for nobody. See `session`."""
    _clients: "dict[bool, httpx.Client]" = field(default_factory=dict)
    """By whether they speak TLS; made when first needed."""

    def session(self) -> "Network":
        """The same network with a cookie jar of its own, for one conversation with one party."""
        return Network(self.sandbox, self.maps, self.transport, {})

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Raises NetworkError where the address is not permitted, nobody answers, or too much comes."""
        import httpx

        try:
            require_permitted(self._mapped(url), allow_loopback_http=self.sandbox)
            host = host_of(url)
        except FetchError as fault:
            raise NetworkError("address_refused", str(fault)) from None
        try:
            client = self._http(url)
            request = client.build_request(
                method,
                self._mapped(url),
                headers=self._headers(url, headers),
                content=content,
                timeout=timeout_seconds,
            )
            answer = client.send(request, stream=True)
            try:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > max_bytes:
                        raise NetworkError("bad_answer", f"{host} sent more than {max_bytes} bytes")
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise NetworkError("unreachable", f"{host} cannot be reached ({type(fault).__name__})") from None
        self._keep_cookies(url, answer.headers.get_list("set-cookie"))
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, bytes(body), host)

    def get(self, url: str, *, accept: str = JSON, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("GET", url, headers={"Accept": accept, **(headers or {})})

    def post_json(self, url: str, value: Any, *, headers: Mapping[str, str] | None = None) -> Answer:
        body = strict_json.compact(value)
        return self.send("POST", url, headers={"Content-Type": JSON, "Accept": JSON, **(headers or {})}, content=body)

    def post_form(self, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Answer:
        from urllib.parse import urlencode

        return self.send(
            "POST", url, headers={"Content-Type": FORM, "Accept": JSON, **(headers or {})}, content=urlencode(fields)
        )

    def fetcher(self, allow: Callable[[str], bool]) -> "NetworkFetcher":
        return NetworkFetcher(self, allow)

    def _mapped(self, url: str) -> str:
        local = self.maps.get(origin(url)) if self.sandbox else None
        return url if local is None else local + url[len(origin(url)) :]

    def _headers(self, url: str, headers: Mapping[str, str] | None) -> dict[str, str]:
        merged = {"User-Agent": "atorga-wallet", **(headers or {})}
        if self._mapped(url) != url:
            merged["Host"] = urlsplit(url).netloc
        if self.cookies and (kept := self.cookies.get(origin(url))):
            merged["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        return merged

    def _keep_cookies(self, url: str, lines: list[str]) -> None:
        """Name and value, for the very origin that set them: a conversation is too short for the rest."""
        if self.cookies is None:
            return
        jar = self.cookies.setdefault(origin(url), {})
        for line in lines:
            try:
                jar.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
            except CookieError:
                continue

    def _http(self, url: str) -> "httpx.Client":
        import ssl

        import httpx

        # Reading the system's own certificates takes longer than most requests; http has no use for them.
        tls = self._mapped(url).startswith("https:") and self.transport is None
        if tls not in self._clients:
            # Environment variables for proxies are not followed.
            self._clients[tls] = httpx.Client(
                transport=self.transport,
                verify=ssl.create_default_context() if tls else False,
                follow_redirects=False,
                trust_env=False,
            )
        client = self._clients[tls]
        client.cookies.clear()
        return client


@dataclass(frozen=True, slots=True)
class NetworkFetcher:
    """The `identity.fetch.Fetcher` that trust and status need, over this wallet's network."""

    network: Network
    allow: Callable[[str], bool]

    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        if not self.allow(url):
            raise FetchError("fetch: the address is not on the list of permitted ones")
        try:
            answer = self.network.send("GET", url, headers={"Accept": accept}, max_bytes=max_bytes)
        except NetworkError as fault:
            raise FetchError(fault.description) from None
        if answer.status != 200:
            raise FetchError(f"fetch: {answer.host} answered {answer.status}, expected 200")
        return answer.body
