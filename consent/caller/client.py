"""One party's requests to another: with a caller proof (WIRE C1), or with a body that proves itself.

Addresses come from the signed list; whoever passes one in took it from there. Redirects are not
followed, answers are capped while they arrive, and a party that does not answer is unavailable:
what that means is for the caller to say, and it is never "allowed".
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent import spec
from consent.caller.proof import sign_proof
from consent.errors import PeerUnavailable
from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import EncodingError, FetchError
from identity.fetch import host_of, require_permitted
from identity.keys.signer import Signer
from identity.randomness import Random

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 10.0
"""A use may wait for the quorum of witnesses (DESIGN §12: 2 s at the 99th percentile); beyond this nobody waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    media_type: str
    body: bytes

    def text(self) -> str:
        """A JWS. Raises PeerUnavailable where the body is something else."""
        if self.media_type != spec.MEDIA_JWT or not self.body.isascii():
            raise PeerUnavailable(f"answer {self.status}: a body of type {spec.MEDIA_JWT} was expected")
        return self.body.decode("ascii")

    def object(self) -> dict[str, Any]:
        """A JSON object. Raises PeerUnavailable."""
        try:
            return strict_json.parse_object(self.body, what="answer", max_bytes=len(self.body))
        except EncodingError as fault:
            raise PeerUnavailable(f"answer {self.status}: {fault}") from None

    def error(self) -> str:
        """The error code of an answer, empty where it has none."""
        try:
            code = self.object().get("error")
        except PeerUnavailable:
            return ""
        return code if isinstance(code, str) else ""


class Client:
    """Requests of the party whose registry key ``signer`` is. ``http`` follows no redirects."""

    def __init__(
        self, http: "httpx.Client", *, signer: Signer, clock: Clock, random: Random, allow_loopback_http: bool
    ) -> None:
        self._http = http
        self._signer = signer
        self._clock = clock
        self._random = random
        self._allow_loopback_http = allow_loopback_http
        self._nonce = ""
        """The newest ``Proof-Nonce``; it is good for any request for five minutes."""

    def get(self, url: str, *, max_bytes: int) -> Answer:
        """What anyone may read. Raises PeerUnavailable, as all here."""
        return self._send("GET", url, b"", {}, max_bytes)

    def post(self, url: str, body: bytes, *, media_type: str, max_bytes: int = strict_json.MAX_BYTES) -> Answer:
        """A body that is a JWS of its sender needs no further proof."""
        return self._send("POST", url, body, {"Content-Type": media_type}, max_bytes)

    def get_proven(self, url: str, *, max_bytes: int = strict_json.MAX_BYTES) -> Answer:
        return self._proven("GET", url, b"", {}, max_bytes)

    def post_proven(self, url: str, value: Any, *, max_bytes: int = strict_json.MAX_BYTES) -> Answer:
        return self._proven("POST", url, strict_json.compact(value), {"Content-Type": spec.MEDIA_JSON}, max_bytes)

    def post_proven_body(
        self, url: str, body: bytes, *, media_type: str, max_bytes: int = strict_json.MAX_BYTES
    ) -> Answer:
        """A body that is not JSON, with a caller proof beside it."""
        return self._proven("POST", url, body, {"Content-Type": media_type}, max_bytes)

    def _proven(self, method: str, url: str, body: bytes, headers: dict[str, str], max_bytes: int) -> Answer:
        answer = self._prove_once(method, url, body, headers, max_bytes)
        if answer.status == 401 and answer.error() == spec.USE_PROOF_NONCE:
            answer = self._prove_once(method, url, body, headers, max_bytes)
        return answer

    def _prove_once(self, method: str, url: str, body: bytes, headers: dict[str, str], max_bytes: int) -> Answer:
        proof = sign_proof(
            self._signer,
            method=method,
            url=url,
            nonce=self._nonce,
            now=int(self._clock()),
            random=self._random,
            body=body,
        )
        return self._send(method, url, body, {**headers, spec.REQUEST_PROOF_HEADER: proof}, max_bytes)

    def _send(self, method: str, url: str, body: bytes, headers: dict[str, str], max_bytes: int) -> Answer:
        import httpx

        try:
            require_permitted(url, allow_loopback_http=self._allow_loopback_http)
            with self._http.stream(
                method, url, content=body or None, headers=headers, follow_redirects=False
            ) as answer:
                received = bytearray()
                for chunk in answer.iter_bytes():
                    received += chunk
                    if len(received) > max_bytes:
                        raise PeerUnavailable(f"{host_of(url)} sent more than {max_bytes} bytes")
                self._nonce = answer.headers.get(spec.PROOF_NONCE_HEADER, self._nonce)
                media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                return Answer(answer.status_code, media_type, bytes(received))
        except httpx.HTTPError as fault:
            raise PeerUnavailable(f"{host_of(url)} cannot be reached ({type(fault).__name__})") from None
        except FetchError as fault:
            raise PeerUnavailable(str(fault)) from None


def open_http(timeout_seconds: float = TIMEOUT_SECONDS) -> "httpx.Client":
    """Connections to other parties; no proxy or address from the environment."""
    import httpx

    return httpx.Client(timeout=timeout_seconds, follow_redirects=False, trust_env=False)
