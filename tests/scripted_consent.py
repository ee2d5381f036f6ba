"""A consent service made of our own messages and a real log, that does what a test tells it: also lie."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent.caller.nonces import Nonces
from consent.caller.proof import verify_proof
from consent.errors import MessageError, ProofNonceNeeded
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import VerifiedGrant, verify_grant
from consent.grant.notice import NoticeAllow, NoticeDeny, sign_notice_answer, verify_basis_request
from consent.grant.request import VerifiedRequest, verify_request
from consent.grant.spooled_notice import verify_spooled
from consent.grant.use import ALLOW_SECONDS, Allow, Deny, Reason, UseRequest, sign_use_answer, verify_use_request
from consent.grant.withdrawal import verify_withdrawal
from consent.ledger.event import commitment, make_event
from consent.ledger.leaf import Kind, Leaf, mask_of
from consent.log import note
from consent.log.writer import LogWriter
from consent.procedure.declaration import verify_data_declaration, verify_purpose_declaration
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

NUMBERS = {"service": 1, "purpose": 2}


@dataclass
class Given:
    """A grant as this service knows it."""

    jws: str
    locator: str
    grant: VerifiedGrant
    counter: int = 1
    state: str = "given"
    active: tuple[str, ...] = ()


@dataclass
class Lies:
    """What it does otherwise than an honest one; each is set by a test."""

    use: Callable[[UseRequest, Allow], Allow | Deny] = lambda _, allow: allow
    leaf: Callable[[Leaf], Leaf] = lambda leaf: leaf
    event: Callable[[dict[str, Any]], dict[str, Any]] = lambda event: event
    status: Callable[[int], int] = lambda status: status
    ignores_withdrawals: bool = False
    signer: Signer | None = None
    log: LogWriter | None = None
    down: bool = False
    notice: Callable[[NoticeAllow], NoticeAllow] = lambda allow: allow
    denies_notices: str | None = None
    notice_status: int | None = None


@dataclass
class ScriptedConsent:
    party: str
    url: str
    signer: Signer
    folder: Path
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    key_of: Callable[[str], PublicKey]
    witness: Ed25519Signer | None = None
    lies: Lies = field(default_factory=Lies)
    grants: dict[str, Given] = field(default_factory=dict)
    requests: dict[str, VerifiedRequest] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    """Request id → ``refused`` or the grant's id."""
    declarations: list[str] = field(default_factory=list)
    answered: dict[str, str] = field(default_factory=dict)
    """Hash of a use request → the first answer."""
    asked: list[str] = field(default_factory=list)
    """Use requests that came, and withdrawals."""
    noticed: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of notices."""
    roots: list[str] = field(default_factory=list)
    services: dict[str, int] = field(default_factory=dict)
    purposes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = LogWriter(self.folder, "localhost:8101/log/2026", Ed25519Signer(bytes(range(32))))
        self.vkey = self.log.key.format()
        self.nonces = Nonces(self.random(32))
        self.spent: set[tuple[str, str]] = set()

    # ── what wallets do, without HTTP ────────────────────────────────────────────────────────

    def give(self, signed: str, locator: str, resolutions: dict[str, tuple[str, ...]]) -> str:
        """Takes a grant; an honest service checks it as the data holder will."""
        grant = verify_grant(
            signed, key_of=self.key_of, consent=self.party, resolutions=lambda _: resolutions, fresh_at=None
        )
        return self.accept(grant, locator)

    def accept(self, grant: VerifiedGrant, locator: str) -> str:
        self.grants[grant.id] = Given(grant.compact, locator, grant, active=grant.detail.attributes)
        self.answers[grant.request.request.id] = grant.id
        return grant.id

    # ── uses ─────────────────────────────────────────────────────────────────────────────────

    def decide(self, compact: str, holder: str) -> tuple[int, str]:
        now = int(self.clock())
        request = verify_use_request(compact, key_of=self.key_of, holder=holder, now=now)
        self.asked.append(compact)
        asked, hashed = request.request, request.digest
        if hashed in self.answered:
            return 200, self.answered[hashed]
        given = self.grants.get(asked.grant_id)
        reasons = self._reasons(given, asked)
        if given is None or reasons:
            deny = Deny(asked.grant_id, reasons, self.party, holder, now, hashed)
            return self.lies.status(403), sign_use_answer(deny, self.lies.signer or self.signer)
        given.counter += 1
        allow = self.allow(given, asked, hashed)
        answer = self.lies.use(asked, allow)
        signed = sign_use_answer(answer, self.lies.signer or self.signer)
        self.answered[hashed] = signed
        return self.lies.status(200 if isinstance(answer, Allow) else 403), signed

    def _reasons(self, given: Given | None, asked: UseRequest) -> tuple[Reason, ...]:
        admitted = given is not None and (given.grant.service == asked.service or asked.accreditation is not None)
        if given is None or not admitted or given.grant.holder != asked.holder:
            return (Reason("unknown_grant"),)
        if given.state != "given":
            return (Reason(given.state),)
        if given.grant.detail.purpose != asked.purpose:
            return (Reason("other_purpose"),)
        return tuple(Reason("attribute_not_granted", name) for name in asked.attributes if name not in given.active)

    def allow(self, given: Given, asked: UseRequest, request_hash: str) -> Allow:
        """Logs the use and says so."""
        now = self.clock()
        event = self.lies.event(
            make_event(
                Kind.USE,
                at_milliseconds=int(now * 1000),
                grant_id=asked.grant_id,
                counter=given.counter,
                service=asked.service,
                purpose=asked.purpose,
                attributes=list(asked.attributes),
                use_request_hash=request_hash,
            )
        )
        salt = self.random(32)
        leaf = Leaf(
            Kind.USE, 0, base64url.decode(asked.grant_id), given.counter, NUMBERS["service"], NUMBERS["purpose"],
            int(now) // 60, mask_of(given.grant.detail.datatypes, asked.attributes), 0, 0, commitment(event, salt),
        )  # fmt: skip
        terms = given.grant.detail.terms
        return Allow(
            use_id=base64url.encode(self.random(16)),
            grant_id=asked.grant_id,
            counter=given.counter,
            grant=given.jws,
            resolutions={name: terms[name].resolution if name in terms else "raw" for name in asked.attributes},
            locator=given.locator,
            salt=base64url.encode(salt),
            event=event,
            proof=self.prove(self.lies.leaf(leaf)),
            release_before=int(now) + ALLOW_SECONDS,
            consent=self.party,
            holder=asked.holder,
            issued=int(now),
            use_request_hash=request_hash,
        )

    def prove(self, leaf: Leaf) -> str:
        log = self.lies.log or self.log
        proof = log.prove(log.append([leaf.to_bytes()]))
        if self.witness is None:
            return proof
        head, _, signed = proof.partition("\n\n")
        parsed = note.parse(signed)
        cosignature = note.cosign(
            parsed.text, "witness.example", self.witness.public, self.witness, now=int(self.clock())
        )
        return f"{head}\n\n{parsed.with_signatures([cosignature]).format()}"

    # ── HTTP ─────────────────────────────────────────────────────────────────────────────────

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/uses", self._uses, methods=["POST"]),
                Route("/notices", self._notice, methods=["POST"]),
                Route("/journal-roots", self._root, methods=["POST"]),
                Route("/requests", self._ask, methods=["POST"]),
                Route("/requests/{id}", self._poll, methods=["GET"]),
                Route("/withdrawals", self._withdraw, methods=["POST"]),
                Route("/declarations", self._declare, methods=["POST"]),
                Route("/declarations", self._declared, methods=["GET"]),
                Route("/services", self._services, methods=["GET"]),
            ]
        )

    def _caller(self, request: Request, body: bytes, party: str) -> Response | None:
        now = int(self.clock())
        key = self.key_of(party)

        def spend(thumbprint: str, jti: str) -> bool:
            fresh = (thumbprint, jti) not in self.spent
            self.spent.add((thumbprint, jti))
            return fresh

        try:
            verify_proof(
                request.headers.get("Request-Proof"),
                method=request.method,
                url=self.url + request.url.path,
                body=body,
                now=now,
                accepts_nonce=lambda nonce: self.nonces.accepts(nonce, now),
                spend=spend,
                key_for={key.thumbprint: key}.get,
            )
        except ProofNonceNeeded:
            return JSONResponse({"error": "use_proof_nonce"}, 401, headers={"Proof-Nonce": self.nonces.fresh(now)})
        except MessageError as fault:
            return JSONResponse({"error": "invalid_proof", "error_description": str(fault)}, 401)
        return None

    async def _uses(self, request: Request) -> Response:
        body = await request.body()
        if self.lies.down:
            return JSONResponse({"error": "log_down"}, 503)
        compact = json.loads(body)["use_request"]
        holder = jws.parse(compact).claims()["aud"]
        if (refused := self._caller(request, body, holder)) is not None:
            return refused
        try:
            status, answer = await run_in_threadpool(self.decide, compact, holder)
        except MessageError as fault:
            return JSONResponse({"error": "invalid_request", "error_description": str(fault)}, 400)
        return Response(answer, status, media_type="application/jwt")

    # ── access by law ────────────────────────────────────────────────────────────────────────

    def note(self, compact: str, holder: str, spooled: str | None) -> tuple[int, str]:
        now = int(self.clock())
        fresh_at = now
        if spooled is not None:
            fresh_at = verify_spooled(spooled, key_of=self.key_of, consent=self.party, holder=holder).time
        request = verify_basis_request(compact, key_of=self.key_of, holder=holder, now=fresh_at)
        asked = request.request
        answer: NoticeAllow | NoticeDeny
        if self.lies.denies_notices is not None:
            answer = NoticeDeny((self.lies.denies_notices,), self.party, holder, now, request.digest)
            return 403, sign_notice_answer(answer, self.signer)
        event = self.lies.event(
            make_event(
                Kind.NOTICE,
                at_milliseconds=int(self.clock() * 1000) if spooled is None else fresh_at * 1000,
                service=asked.service,
                purpose=asked.purpose,
                declaration=asked.declaration,
                attributes=list(asked.attributes),
                hash=request.digest,
            )
        )
        name, salt = self.random(16), self.random(32)
        leaf = Leaf(
            Kind.NOTICE, 0, name, 0, NUMBERS["service"], NUMBERS["purpose"], now // 60, 0, 0, 0,
            commitment(event, salt),
        )  # fmt: skip
        answer = self.lies.notice(
            NoticeAllow(
                notice_id=base64url.encode(name),
                consent=self.party,
                holder=holder,
                issued=now,
                basis_request_hash=request.digest,
                event=event,
                salt=base64url.encode(salt),
                proof=self.prove(self.lies.leaf(leaf)),
                release_before=now + ALLOW_SECONDS,
            )
        )
        return self.lies.status(200), sign_notice_answer(answer, self.lies.signer or self.signer)

    async def _notice(self, request: Request) -> Response:
        body = await request.body()
        if self.lies.down:
            return JSONResponse({"error": "log_down"}, 503)
        value = json.loads(body)
        holder = jws.parse(value["basis_request"]).claims()["aud"]
        if (refused := self._caller(request, body, holder)) is not None:
            return refused
        self.noticed.append(value)
        if self.lies.notice_status is not None:
            return JSONResponse({"error": "no"}, self.lies.notice_status)
        try:
            status, answer = await run_in_threadpool(self.note, value["basis_request"], holder, value.get("spooled"))
        except MessageError as fault:
            return JSONResponse({"error": "invalid_request", "error_description": str(fault)}, 400)
        return Response(answer, status, media_type="application/jwt")

    async def _root(self, request: Request) -> Response:
        if self.lies.down:
            return JSONResponse({"error": "log_down"}, 503)
        self.roots.append((await request.body()).decode())
        return JSONResponse({"state": "received"}, 201)

    async def _ask(self, request: Request) -> Response:
        verified = verify_request(
            (await request.body()).decode(), key_of=self.key_of, consent=self.party, now=int(self.clock())
        )
        name = verified.request.id
        self.requests[name] = verified
        uri = f"{self.url}/requests/{name}/jwt"
        link = f"atorga-consent://?request_uri={uri}"
        return JSONResponse({"request_id": name, "request_uri": uri, "link": link, "expires_in": 600}, 201)

    async def _poll(self, request: Request) -> Response:
        name = request.path_params["id"]
        asked = self.requests.get(name)
        if asked is None:
            return JSONResponse({"error": "unknown_request"}, 404)
        if (refused := self._caller(request, b"", asked.request.service)) is not None:
            return refused
        answer = self.answers.get(name)
        if answer is None:
            return JSONResponse({"state": "pending" if self.clock() < asked.request.expires else "expired"})
        if answer == "refused":
            return JSONResponse({"state": "refused"})
        return JSONResponse({"state": "given", "grant_id": answer, "grant": self.grants[answer].jws})

    async def _withdraw(self, request: Request) -> Response:
        message = verify_withdrawal((await request.body()).decode())
        self.asked.append(message.compact)
        given = self.grants.get(message.grant_id)
        if given is None or given.grant.key != message.key:
            return JSONResponse({"state": "noted"}, 202)
        if not self.lies.ignores_withdrawals:
            gone = given.active if message.attributes is None else message.attributes
            given.active = tuple(name for name in given.active if name not in gone)
            given.state = given.state if given.active else "withdrawn"
        return JSONResponse({"state": "withdrawn", "counter": given.counter + 1, "effective_at": int(self.clock())})

    async def _declare(self, request: Request) -> Response:
        compact = (await request.body()).decode()
        names = {
            (one.get("id"), one.get("version")): known
            for known in self.declarations
            if (one := jws.parse(known).claims())
        }
        verify = (
            verify_purpose_declaration if "purpose" in jws.parse(compact).header["typ"] else verify_data_declaration
        )
        declared, _ = verify(compact, self.key_of)
        if names.get((declared.id, declared.version), compact) != compact:
            return JSONResponse({"error": "taken"}, 409)
        if compact not in self.declarations:
            self.declarations.append(compact)
        return JSONResponse({"id": declared.id, "version": declared.version, "number": 1}, 201)

    async def _declared(self, _: Request) -> Response:
        return JSONResponse({"declarations": self.declarations})

    async def _services(self, _: Request) -> Response:
        return JSONResponse(
            {
                "services": [{"id": name, "number": number} for name, number in self.services.items()],
                "purposes": [{"iri": name, "number": number} for name, number in self.purposes.items()],
            }
        )


def with_claims(allow: Allow, **changes: Any) -> Allow:
    return replace(allow, **changes)


def detail_of(given: Given) -> AuthorizationDetail:
    return given.grant.detail
