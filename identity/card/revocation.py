"""Is the certificate good *now*? OCSP (RFC 6960), and nothing else: the DNIe has no CRL.

What is checked, in this order. *Revoked* is CardError; whatever else fails is CardStatusUnavailable,
since then nobody entitled to it has said that the certificate is good or bad:

1. The certificate names a responder that its profile lists. Only then is anybody asked.
2. The responder answers in time, in size, at that address, with status *successful*.
3. The answer is about exactly one certificate, and it is this one: serial number, and the hashes of
   the name and key of its issuer (§3.2 item 1).
4. It repeats our nonce (RFC 9654). Both of Python's validators let an answer without one pass.
5. It was made in the last 30 minutes and is not outdated. ``nextUpdate`` alone may allow a day.
6. It does not say that it *does not know* the certificate.
7. Its signature and every certificate in it use SHA-2 and keys above our floor, and are whole octets.
8. Its signer is the issuing authority itself, or has a certificate for signing OCSP answers
   straight from that authority, which is valid now and marked id-pkix-ocsp-nocheck (§4.2.2.2); and
   what it says is *good*.

The path of the card's certificate was verified before. pyhanko-certvalidator does 8 and repeats 3;
the rest is ours.
"""

from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from identity.card.key_floor import strong_key
from identity.card.ocsp_client import MAX_ANSWER_BYTES, OcspTransport
from identity.card.path import VerifiedPath
from identity.card.profile import CardProfile
from identity.clock import Clock
from identity.errors import CardError, CardStatusUnavailable, FetchError
from identity.randomness import Random

MAX_AGE_SECONDS = 1_800
"""How long a card that was reported lost may still be accepted, at worst."""

CLOCK_SKEW_SECONDS = 60
"""How far the responder's clock may be ahead of ours."""

NONCE_BYTES = 32
"""RFC 9654 section 2.1: at least 32; older responders take no more."""

_WHAT = "card status"
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNREADABLE = (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm, x509.DuplicateExtension)

# Names which certificate is meant, and every responder knows it. Nothing rests on its collisions: both
# hashed values, name and key of an authority we pinned, are given.
_CERT_ID_HASH = hashes.SHA1()  # noqa: S303


def require_good(
    path: VerifiedPath, profile: CardProfile, *, transport: OcspTransport, clock: Clock, random: Random
) -> None:
    """The certificate's issuer says now that it is good. Raises CardStatusUnavailable and CardError."""
    certificate, issuer = path.leaf.certificate, path.issuer
    url = _responder(certificate, profile)
    nonce = random(NONCE_BYTES)
    request = (
        ocsp.OCSPRequestBuilder()
        .add_certificate(certificate, issuer, _CERT_ID_HASH)
        .add_extension(x509.OCSPNonce(nonce), critical=False)
        .build()
    )
    try:
        answer = transport.post(url, request.public_bytes(Encoding.DER))
    except FetchError as fault:
        raise CardStatusUnavailable(f"{_WHAT}: {fault}") from None
    # The clock is read after the answer came: it may have taken seconds.
    check_answer(answer, request, path, profile, nonce=nonce, now=clock())


def check_answer(
    answer: bytes, request: ocsp.OCSPRequest, path: VerifiedPath, profile: CardProfile, *, nonce: bytes, now: float
) -> None:
    """Steps 2 to 8. Raises CardStatusUnavailable and CardError."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise CardStatusUnavailable(f"{_WHAT}: the answer has more than {MAX_ANSWER_BYTES} bytes")
    try:
        # 2
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise CardStatusUnavailable(f"{_WHAT}: the responder answered {response.response_status.name}")
        # 3
        single = _single(response, request)
        # 4
        _require_nonce(response, nonce, needed=profile.ocsp_nonce)
        # 5
        _require_fresh(response, single, now=now)
        # 6: nobody is believed here, so it need not be proven first
        if single.certificate_status == ocsp.OCSPCertStatus.UNKNOWN:
            raise CardStatusUnavailable(f"{_WHAT}: its responder does not know this certificate")
        # 7
        _require_strong(response)
        _require_one_spelling(response, answer)
        # 8
        _require_entitled(answer, path, now=now)
        if single.certificate_status != ocsp.OCSPCertStatus.GOOD:
            raise CardStatusUnavailable(f"{_WHAT}: its responder says that it is not good")
    except _UNREADABLE:
        raise CardStatusUnavailable(f"{_WHAT}: the answer cannot be read") from None


def _responder(certificate: x509.Certificate, profile: CardProfile) -> str:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        raise CardStatusUnavailable(f"{_WHAT}: the certificate names no responder") from None
    for description in access:
        location = description.access_location
        if (
            description.access_method == AuthorityInformationAccessOID.OCSP
            and isinstance(location, x509.UniformResourceIdentifier)
            and profile.permits_ocsp(location.value)
        ):
            return location.value
    raise CardStatusUnavailable(f"{_WHAT}: the certificate names no responder of the profile {profile.id!r}")


def _single(response: ocsp.OCSPResponse, request: ocsp.OCSPRequest) -> ocsp.OCSPSingleResponse:
    found = list(response.responses)
    if len(found) != 1:
        raise CardStatusUnavailable(f"{_WHAT}: an answer about {len(found)} certificates, expected 1")
    single = found[0]
    if (
        single.serial_number != request.serial_number
        or single.hash_algorithm.name != request.hash_algorithm.name
        or single.issuer_name_hash != request.issuer_name_hash
        or single.issuer_key_hash != request.issuer_key_hash
    ):
        raise CardStatusUnavailable(f"{_WHAT}: an answer about another certificate")
    return single


def _require_nonce(response: ocsp.OCSPResponse, nonce: bytes, *, needed: bool) -> None:
    try:
        found = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        if needed:
            raise CardStatusUnavailable(f"{_WHAT}: the answer does not repeat our nonce") from None
        return
    if found != nonce:
        raise CardStatusUnavailable(f"{_WHAT}: the answer was made for another question")


def _require_fresh(response: ocsp.OCSPResponse, single: ocsp.OCSPSingleResponse, *, now: float) -> None:
    for name, instant in (("thisUpdate", single.this_update_utc), ("producedAt", response.produced_at_utc)):
        age = now - instant.timestamp()
        if age > MAX_AGE_SECONDS:
            raise CardStatusUnavailable(f"{_WHAT}: {name} is older than {MAX_AGE_SECONDS} seconds")
        if age < -CLOCK_SKEW_SECONDS:
            raise CardStatusUnavailable(f"{_WHAT}: {name} is in the future")
    if single.next_update_utc is not None and single.next_update_utc.timestamp() < now - CLOCK_SKEW_SECONDS:
        raise CardStatusUnavailable(f"{_WHAT}: nextUpdate has passed")


def _require_strong(response: ocsp.OCSPResponse) -> None:
    signed = [response.signature_hash_algorithm]
    try:
        for certificate in response.certificates:
            signed.append(certificate.signature_hash_algorithm)
            strong_key(certificate.public_key(), what=f"{_WHAT}: signer")
    except CardError as fault:
        raise CardStatusUnavailable(str(fault)) from None
    if not all(isinstance(algorithm, _HASHES) for algorithm in signed):
        raise CardStatusUnavailable(f"{_WHAT}: signed with another hash than SHA-256, SHA-384 or SHA-512")


def _require_one_spelling(response: ocsp.OCSPResponse, answer: bytes) -> None:
    """No signature covers the count of unused bits before it (X.690 section 8.6.2.2); libraries pass over it."""
    signatures = [response.signature, *(certificate.signature for certificate in response.certificates)]
    if not all(b"\0" + signature in answer for signature in signatures):
        raise CardStatusUnavailable(f"{_WHAT}: a signature is not a whole number of octets")


def _require_entitled(answer: bytes, path: VerifiedPath, *, now: float) -> None:
    """Who signed it may sign it, and says *good*. Raises CardError for *revoked*, CardStatusUnavailable."""
    # Heavy, and nobody but an issuer at a card login needs them.
    from asn1crypto import x509 as asn1_x509
    from pyhanko_certvalidator.authority import CertTrustAnchor
    from pyhanko_certvalidator.context import ValidationContext
    from pyhanko_certvalidator.errors import OCSPValidationError, RevokedError, ValidationError
    from pyhanko_certvalidator.path import ValidationPath
    from pyhanko_certvalidator.policy_decl import (
        CertRevTrustPolicy,
        FreshnessReqType,
        RevocationCheckingPolicy,
        RevocationCheckingRule,
    )
    from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response

    leaf = asn1_x509.Certificate.load(path.leaf.certificate.public_bytes(Encoding.DER))
    anchor = CertTrustAnchor(asn1_x509.Certificate.load(path.issuer.public_bytes(Encoding.DER)))
    needed = RevocationCheckingRule.OCSP_REQUIRED
    context = ValidationContext(
        trust_roots=[anchor],
        ocsps=[answer],
        allow_fetching=False,
        moment=datetime.fromtimestamp(now, UTC),
        time_tolerance=timedelta(seconds=CLOCK_SKEW_SECONDS),
        revinfo_policy=CertRevTrustPolicy(
            # Never soft: a responder without nocheck would need to be asked about, and is refused.
            RevocationCheckingPolicy(ee_certificate_rule=needed, intermediate_ca_cert_rule=needed),
            freshness=timedelta(seconds=MAX_AGE_SECONDS),
            freshness_req_type=FreshnessReqType.MAX_DIFF_REVOCATION_VALIDATION,
        ),
        weak_hash_algos={"md2", "md5", "sha1"},
    )
    try:
        _finish(verify_ocsp_response(leaf, ValidationPath(anchor, [], leaf), context))
    except RevokedError:
        raise CardError(f"{_WHAT}: the certificate is revoked") from None
    except (OCSPValidationError, ValidationError, LookupError):
        # Its text may name the certificate's subject.
        raise CardStatusUnavailable(f"{_WHAT}: the answer is not signed by who may sign it") from None


def _finish(check: Coroutine[Any, Any, None]) -> None:
    """Runs to its end what is written as a coroutine and waits for nothing, since it may not fetch."""
    try:
        check.send(None)
    except StopIteration:
        return
    check.close()
    raise CardStatusUnavailable(f"{_WHAT}: checking the answer wanted to fetch something")
