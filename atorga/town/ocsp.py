"""The responder of the sandbox's card authority (RFC 6960), over HTTP: POST, and GET for short requests.

It knows serial numbers and nothing else. *Good* is what the authority issued and did not revoke;
*revoked* stands in its status file; all else, also another authority's, is *unknown*. The file is
read at each request, so that a revocation is seen at once; there is no other switch.
"""

import re
from base64 import b64decode
from binascii import Error
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import ocsp
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity.card.ocsp_client import REQUEST_TYPE, RESPONSE_TYPE
from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import IdentityError

MAX_REQUEST_BYTES = 4_096
"""One certificate and a nonce take 120."""

MAX_NONCE_BYTES = 128
"""RFC 9654 section 2.1."""

MAX_STATUS_BYTES = 1_048_576
"""A sandbox issues a few cards."""

VALIDITY = timedelta(minutes=10)

_HASHES = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303  (which certificate, no signature)
_SERIAL = re.compile(r"[0-9a-f]{1,40}", re.ASCII)


class StatusUnreadable(Exception):
    """The status file is missing or damaged; nothing is *good* then."""


class Responder:
    """Answers one request; blocks while it reads the status file."""

    def __init__(
        self,
        *,
        issuing: x509.Certificate,
        signer: x509.Certificate,
        key: rsa.RSAPrivateKey,
        status: Path,
        clock: Clock,
    ) -> None:
        self._signer = signer
        self._key = key
        self._status = status
        self._clock = clock
        self._name = issuing.subject.public_bytes()
        spki = issuing.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self._hashes = {name: (_digest(kind, self._name), _digest(kind, spki)) for name, kind in _HASHES.items()}

    @classmethod
    def from_files(cls, *, issuing: Path, signer: Path, key: Path, status: Path, clock: Clock) -> "Responder":
        """Raises OSError and ValueError."""
        loaded = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise ValueError("the responder's key is not RSA")
        return cls(
            issuing=x509.load_pem_x509_certificate(issuing.read_bytes()),
            signer=x509.load_pem_x509_certificate(signer.read_bytes()),
            key=loaded,
            status=status,
            clock=clock,
        )

    def answer(self, request: bytes) -> bytes:
        try:
            asked = ocsp.load_der_ocsp_request(request)
            algorithm, serial = asked.hash_algorithm, asked.serial_number
            nonce = _nonce(asked)
        except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm, x509.DuplicateExtension):
            return _failure(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        try:
            issued, revoked = self._read_status()
        except StatusUnreadable:
            return _failure(ocsp.OCSPResponseStatus.TRY_LATER)
        ours = (asked.issuer_name_hash, asked.issuer_key_hash) == self._hashes.get(algorithm.name)
        status, revoked_at = ocsp.OCSPCertStatus.UNKNOWN, None
        if ours and serial in revoked:
            status, revoked_at = ocsp.OCSPCertStatus.REVOKED, datetime.fromtimestamp(revoked[serial], UTC)
        elif ours and serial in issued:
            status = ocsp.OCSPCertStatus.GOOD
        now = datetime.fromtimestamp(int(self._clock()), UTC)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=asked.issuer_name_hash,
                issuer_key_hash=asked.issuer_key_hash,
                serial_number=serial,
                algorithm=algorithm,
                cert_status=status,
                this_update=now,
                next_update=now + VALIDITY,
                revocation_time=revoked_at,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._signer)
            .certificates([self._signer])
        )
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _read_status(self) -> tuple[frozenset[int], dict[int, int]]:
        """Serials issued; serial → when revoked. Raises StatusUnreadable."""
        try:
            status = strict_json.parse_object(
                self._status.read_bytes(), what="card status file", max_bytes=MAX_STATUS_BYTES
            )
            issued, revoked = status["issued"], status["revoked"]
            if not all(_SERIAL.fullmatch(item) for item in (*issued, *revoked)):
                raise ValueError
            return frozenset(int(item, 16) for item in issued), {
                int(item, 16): int(when) for item, when in revoked.items()
            }
        except (OSError, IdentityError, ValueError, TypeError, KeyError, AttributeError):
            raise StatusUnreadable from None


def ocsp_app(responder: Responder) -> Starlette:
    async def post(request: Request) -> Response:
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != REQUEST_TYPE:
            return Response(status_code=415)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                return Response(status_code=413)
        return _http(await run_in_threadpool(responder.answer, bytes(body)))

    async def get(request: Request) -> Response:
        # RFC 6960 appendix A.1: base64 in the path, percent-encoded; Starlette has decoded that.
        try:
            body = b64decode(request.path_params["request"], validate=True)
        except (Error, ValueError):
            body = b""
        if len(body) > MAX_REQUEST_BYTES:
            return Response(status_code=413)
        return _http(await run_in_threadpool(responder.answer, body))

    return Starlette(routes=[Route("/", post, methods=["POST"]), Route("/{request:path}", get, methods=["GET"])])


def _http(answer: bytes) -> Response:
    return Response(answer, headers={"Content-Type": RESPONSE_TYPE, "Cache-Control": "no-store"})


def _nonce(asked: ocsp.OCSPRequest) -> bytes | None:
    try:
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 1 <= len(nonce) <= MAX_NONCE_BYTES:
        raise ValueError
    return nonce


def _failure(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def _digest(kind: hashes.HashAlgorithm, value: bytes) -> bytes:
    state = hashes.Hash(kind)
    state.update(value)
    return state.finalize()
