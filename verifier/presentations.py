"""Asking for a presentation and taking the answer: what every flow of this verifier goes through.

The answer to a request, ``respond``:
  1. The request is one of ours, open, in its time.
  2. The form, as the request asked for it; ``state`` is the request's. An answer with another
     ``state`` is none to this request and leaves it open; any other one finishes it, for good.
  3. An error of the wallet is the end: refused, with its code.
  4. The whole check of ``identity.openid4vp.check``, for the ``client_id`` and nonce of this request.
  5. The policy of the procedure.
  6. pending → verified, once, together with the sealed result; who comes second is refused.
"""

import json
from typing import Any

from identity.clock import Clock
from identity.codec import base64url, strict_json
from identity.codec.length_prefix import prefixed
from identity.codec.members import IDENTIFIER_BYTES
from identity.envelope import hpke
from identity.errors import IdentityError, ProtocolError
from identity.keys.agreement import AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import client_metadata, dcql, link, spec
from identity.openid4vp.check import VerifiedPresentation, check_presentation
from identity.openid4vp.link import AuthorizationLink
from identity.openid4vp.request import NONCE_BYTES, link_by_value, make_claims
from identity.openid4vp.respond import ErrorResponse, parse_response
from identity.openid4vp.spec import Profile
from identity.randomness import Random
from verifier.acceptance import LEVELS, Evidence, Flow, Procedures
from verifier.asked import Asked, StandIn, TrustFor
from verifier.client import VerifierClient
from verifier.errors import OtherSession, RequestClosed, RequestUnknown, ResponseRefused, VerifierError, refusal
from verifier.outcome import EXPIRED, OTHER_SESSION, Outcome, Result
from verifier.sealing import Sealing, hashed
from verifier.sessions import REQUEST_SECONDS, RESULT_SECONDS, RequestStore, State, StoredRequest

HANDLE_BYTES = 32
CODE_BYTES = 32
"""OpenID4VP 1.0 section 8.2 wants 128 bits or more; one size for all secrets."""

DIRECT_RESULT_SECONDS = 3_600
"""A programme that asked may ask for its result more than once."""


class Presentations:
    """The requests of one verifier."""

    def __init__(
        self,
        *,
        client: VerifierClient,
        store: RequestStore,
        sealing: Sealing,
        trust_for: TrustFor,
        procedures: Procedures,
        profile: Profile,
        clock: Clock,
        random: Random,
    ) -> None:
        self._client = client
        self._store = store
        self._sealing = sealing
        self._trust_for = trust_for
        self._procedures = procedures
        self._profile = profile
        self._clock = clock
        self._random = random

    def new_secret(self) -> str:
        return base64url.encode(self._random(HANDLE_BYTES))

    def new_id(self) -> str:
        """An id as messages have them (WIRE): 128 bits, enough for a secret as well."""
        return base64url.encode(self._random(IDENTIFIER_BYTES))

    def begin(self, asked: Asked, *, handle: str, reader: str) -> str:
        """The link for the wallet.

        ``handle`` names the request to wallets, ``reader`` is the secret of whoever may read the
        result; both are unguessable. The same handle again gives the same link.
        Raises ProtocolError where the profile does not have what is asked.
        """
        if asked.client_id_prefix not in spec.PREFIXES[self._profile]:
            raise ProtocolError(spec.INVALID_REQUEST, f"client id prefix: not one of profile {self._profile}")
        if asked.response_mode not in spec.RESPONSE_MODES[self._profile]:
            raise ProtocolError(spec.INVALID_REQUEST, f"response mode: not one of profile {self._profile}")
        now = int(self._clock())
        key, kid = SoftwareSigner.generate(), base64url.encode(self._random(8))
        encrypted = asked.response_mode == spec.DIRECT_POST_JWT
        stored = StoredRequest(
            handle_hash=hashed(handle),
            reader_hash=hashed(reader),
            reader_key=self._sealing.reader_key(reader).public.raw,
            procedure=asked.procedure,
            flow=asked.flow,
            state=State.PENDING,
            expires=now + REQUEST_SECONDS,
            client_id_prefix=asked.client_id_prefix,
            response_mode=asked.response_mode,
            nonce=base64url.encode(self._random(NONCE_BYTES)),
            wire_state=base64url.encode(self._random(NONCE_BYTES)),
            query=json.dumps(dcql.format(asked.query)),
            stand_in=None if asked.stand_in is None else asked.stand_in.format(),
            return_uri=asked.return_uri,
            kid=kid if encrypted else None,
            decryption_key=(
                self._sealing.seal("decryption", handle, strict_json.compact(key.private_jwk()), random=self._random)
                if encrypted
                else None
            ),
            encryption_jwk=json.dumps(key.public_key.jwk()) if encrypted else None,
        )
        if not self._store.add(stored, now=now):
            stored = self._found(handle)
        return self._link(stored, handle, asked.request_uri_method)

    def request_object(self, handle: str, wallet_nonce: str | None) -> str:
        """The signed request. Raises RequestUnknown, RequestClosed."""
        stored = self._open(handle)
        if stored.client_id_prefix == spec.REDIRECT_URI_PREFIX:
            raise RequestUnknown("request: this one stands in its link, unsigned")
        return self._client.sign(stored.client_id_prefix, self._claims(stored, handle, wallet_nonce))

    def respond(self, handle: str, body: bytes) -> str | None:
        """Takes a wallet's answer; where its person goes on, if anywhere.

        Raises RequestUnknown, RequestClosed and ResponseRefused.
        """
        stored = self._open(handle)  # 1
        try:
            presentation = self._verified(stored, handle, body)  # 2 to 4
            self._procedures.require_accepted(stored.procedure, Evidence(presentation, Flow(stored.flow)))  # 5
        except IdentityError as fault:
            refused = refusal(fault)
        except ResponseRefused as fault:
            refused = fault
        except _OtherState as fault:
            raise ResponseRefused(spec.INVALID_REQUEST, str(fault)) from None
        except _WalletRefused as fault:
            self._refuse(stored, fault.response.error, fault.response.description)
            return None
        else:
            return self._accept(stored, presentation)  # 6
        self._refuse(stored, refused.code, refused.description)
        raise refused

    def outcome(self, reader: str, flow: Flow) -> Outcome:
        """Raises RequestUnknown. A result that was read or has expired counts as such, not as verified."""
        return self._outcome(self._of_reader(reader, flow))

    def result(self, reader: str, flow: Flow) -> Result:
        """A programme's result, as often as it asks. Raises RequestUnknown, RequestClosed."""
        stored = self._of_reader(reader, flow)
        if self._outcome(stored).state != State.VERIFIED or stored.result is None:
            raise RequestClosed("request: has no result")
        return self._unsealed(stored, stored.result, reader)

    def complete_same_device(self, reader: str | None, code: str) -> Result:
        """The result, once, in the browser session that asked (HAIP 1.0 section 5.1).

        In any other session the code is spent and the request refused. Raises RequestUnknown, OtherSession.
        """
        stored = self._store.by_code(hashed(code))
        if stored is None:
            raise RequestUnknown("response code: unknown, or used before")
        if reader is None or hashed(reader) != stored.reader_hash:
            self._store.reject(stored.handle_hash, error=OTHER_SESSION[0], description=OTHER_SESSION[1])
            raise OtherSession(OTHER_SESSION[1])
        return self._read(stored, reader)

    def complete_cross_device(self, reader: str) -> Result:
        """The result of the QR code, once, for the browser that shows it. Raises RequestUnknown."""
        return self._read(self._of_reader(reader, Flow.CROSS_DEVICE), reader)

    def _verified(self, stored: StoredRequest, handle: str, body: bytes) -> VerifiedPresentation:
        private_jwk = None
        if stored.decryption_key is not None:
            private_jwk = json.loads(self._sealing.open("decryption", handle, stored.decryption_key))
        response = parse_response(body, response_mode=stored.response_mode, private_jwk=private_jwk, kid=stored.kid)
        if response.state != stored.wire_state:
            raise _OtherState("authorization response: state is not the request's")
        if isinstance(response, ErrorResponse):
            raise _WalletRefused(response)  # 3
        now = int(self._clock())
        trust = self._trust_for(None if stored.stand_in is None else StandIn.parse(stored.stand_in))
        return check_presentation(  # 4
            response.vp_token,
            dcql.parse(json.loads(stored.query)),
            issuer_key=trust.issuer_key,
            status_check=trust.status_check,
            client_id=self._client_id(stored, handle),
            nonce=stored.nonce,
            now=now,
            # Nobody could have signed this nonce before the request was made.
            max_kb_age_seconds=now - (stored.expires - REQUEST_SECONDS),
        )

    def _accept(self, stored: StoredRequest, presentation: VerifiedPresentation) -> str | None:
        """Step 6."""
        result = strict_json.compact(
            {
                "claims": presentation.claims,
                "issuers": {
                    query_id: [one.credential.iss for one in several]
                    for query_id, several in presentation.credentials.items()
                },
                "level": LEVELS[Flow(stored.flow)],
            }
        )
        sealed = hpke.seal(AgreementPublicKey(stored.reader_key), _info(stored), result)
        code = self.new_secret() if stored.return_uri is not None else None
        now = int(self._clock())
        first = self._store.verify(
            stored.handle_hash,
            result=sealed,
            code_hash=None if code is None else hashed(code),
            now=now,
            result_seconds=DIRECT_RESULT_SECONDS if stored.flow == Flow.DIRECT else RESULT_SECONDS,
        )
        if not first:
            raise RequestClosed("request: was answered before")
        return None if code is None else f"{stored.return_uri}?{spec.RESPONSE_CODE}={code}"

    def _refuse(self, stored: StoredRequest, error: str, description: str) -> None:
        now = int(self._clock())
        if not self._store.refuse(stored.handle_hash, error=error, description=description, now=now):
            raise RequestClosed("request: was answered before")

    def _read(self, stored: StoredRequest, reader: str) -> Result:
        sealed = self._store.read(stored.handle_hash, now=int(self._clock()))
        if sealed is None:
            raise RequestUnknown("result: read before, or its time is over")
        return self._unsealed(stored, sealed, reader)

    def _unsealed(self, stored: StoredRequest, sealed: str, reader: str) -> Result:
        plain = hpke.open_sealed(self._sealing.reader_key(reader), _info(stored), sealed, what="result")
        return Result(**json.loads(plain))

    def _found(self, handle: str) -> StoredRequest:
        stored = self._store.find(hashed(handle))
        if stored is None:
            raise RequestUnknown("request: none goes by this name")
        return stored

    def _open(self, handle: str) -> StoredRequest:
        stored = self._found(handle)
        if stored.state != State.PENDING:
            raise RequestClosed("request: was answered before")
        if stored.expires <= int(self._clock()):
            raise RequestClosed("request: its time is over")
        return stored

    def _of_reader(self, reader: str, flow: Flow) -> StoredRequest:
        for stored in self._store.by_reader(hashed(reader)):
            if stored.flow == flow:
                return stored
        raise RequestUnknown("request: none was made for this reader")

    def _outcome(self, stored: StoredRequest) -> Outcome:
        over = stored.expires <= int(self._clock())
        if stored.state == State.PENDING and over:
            return Outcome(State.REFUSED, *EXPIRED)
        if stored.state == State.VERIFIED and over:
            return Outcome(State.READ)
        return Outcome(State(stored.state), stored.error, stored.error_description)

    def _link(self, stored: StoredRequest, handle: str, request_uri_method: str) -> str:
        if stored.client_id_prefix == spec.REDIRECT_URI_PREFIX:
            return link.format(link_by_value(self._claims(stored, handle, None)))
        request_uri = f"{self._client.url}/requests/{handle}/jwt"
        return link.format(AuthorizationLink(self._client_id(stored, handle), request_uri, request_uri_method))

    def _claims(self, stored: StoredRequest, handle: str, wallet_nonce: str | None) -> dict[str, Any]:
        encryption = None
        if stored.encryption_jwk is not None and stored.kid is not None:
            encryption = (PublicKey.from_jwk(json.loads(stored.encryption_jwk)), stored.kid)
        unsigned = stored.client_id_prefix == spec.REDIRECT_URI_PREFIX
        return make_claims(
            client_id=self._client_id(stored, handle),
            response_uri=self._response_uri(handle),
            response_mode=stored.response_mode,
            nonce=stored.nonce,
            state=stored.wire_state,
            query=dcql.parse(json.loads(stored.query)),
            metadata=client_metadata.make(encryption),
            iat=int(self._clock()),
            exp=stored.expires,
            wallet_nonce=wallet_nonce,
            # Where nobody signs the request, nobody would be known to have said it.
            stated=None if unsigned else self._procedures.stated(stored.procedure),
        )

    def _client_id(self, stored: StoredRequest, handle: str) -> str:
        return self._client.client_id(stored.client_id_prefix, self._response_uri(handle))

    def _response_uri(self, handle: str) -> str:
        return f"{self._client.url}/responses/{handle}"


class _OtherState(VerifierError):
    """An answer to another request."""


class _WalletRefused(VerifierError):
    def __init__(self, response: ErrorResponse) -> None:
        super().__init__("the wallet refused")
        self.response = response


def _info(stored: StoredRequest) -> bytes:
    return prefixed("atorga/verifier/result", stored.handle_hash)
