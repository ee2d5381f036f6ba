"""A loopback address for the browser to come back to (RFC 8252 section 7.3)."""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from wallet_cli.errors import OfferError

PATH = "/callback"
WAIT_SECONDS = 300.0
"""Finding the card, its reader and its PIN takes a while."""


@dataclass(slots=True)
class Loopback:
    server: HTTPServer
    arrived: str | None = None

    @property
    def redirect_uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{PATH}"

    def wait(self) -> str:
        """The address the browser came back to. Raises OfferError after `WAIT_SECONDS`."""
        while self.arrived is None:
            served = self.arrived
            self.server.handle_request()
            if self.arrived is served:
                raise OfferError("authorization_refused", f"browser: did not come back within {WAIT_SECONDS:.0f} s")
        return self.arrived


@contextmanager
def listening(message: str) -> Iterator[Loopback]:
    """Bound to loopback on a port of the system's choice; ``message`` is what the browser shows at the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path != PATH:
                self.send_error(404)
                return
            here.arrived = f"http://127.0.0.1:{here.server.server_port}{self.path}"
            page = f"<!doctype html><meta charset=utf-8><title>Wallet</title><p>{html.escape(message)}</p>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the address holds a code."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.timeout = WAIT_SECONDS
    here = Loopback(server)
    try:
        yield here
    finally:
        server.server_close()


def is_return(url: str, redirect_uri: str) -> bool:
    """Whether ``url`` is our redirect address with parameters."""
    return url == redirect_uri or url.startswith(redirect_uri + "?")
