"""The public files of a log, read over HTTP by somebody who believes none of them."""

import time
from typing import TYPE_CHECKING

from consent.errors import LogError
from consent.log.reader import Fetch
from identity.fetch import TIMEOUT_SECONDS, host_of

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 3
"""A long log is many files; one lost connection must not end the reading."""

PAUSE_SECONDS = 0.1


class HttpLog:
    """The files of a log behind an address. Redirects are not followed."""

    def __init__(self, url: str, *, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx

        self._url = url
        self._client = httpx.Client(
            timeout=TIMEOUT_SECONDS, transport=transport, follow_redirects=False, trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )  # fmt: skip

    def __enter__(self) -> "HttpLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def below(self, prefix: str) -> Fetch:
        return lambda path, most: self._get(f"{self._url}/{prefix}{path}", path, most)

    def _get(self, url: str, path: str, most: int) -> bytes | None:
        import httpx

        for attempt in range(ATTEMPTS):
            try:
                return self._once(url, path, most)
            except httpx.HTTPError as fault:
                if attempt == ATTEMPTS - 1:
                    raise LogError(f"{path}: {host_of(url)} cannot be reached ({type(fault).__name__})") from None
                time.sleep(PAUSE_SECONDS * 4**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, url: str, path: str, most: int) -> bytes | None:
        with self._client.stream("GET", url) as answer:
            if answer.status_code == 404:
                return None
            if answer.status_code != 200:
                raise LogError(f"{path}: {host_of(url)} answered {answer.status_code}, expected 200")
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > most:
                    raise LogError(f"{path}: more than {most} bytes")
            return bytes(content)
