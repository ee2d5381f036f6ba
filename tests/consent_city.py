"""A consent service with its parties and residents, all by plain keys, in one process: for its tests.

The database, the log and the opening keys are real; the signed list is made in memory, and a
presentation is a text that says what it presents: those two have tests of their own.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx
from sqlalchemy import Engine

from consent import spec
from consent.caller.proof import sign_proof
from consent.grant.account import account_nonce
from consent.grant.accreditation import VerifiedAccreditation
from consent.grant.act import Amend, Deed, Pause, Resume, sign_act
from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.grant.grant import sign_grant
from consent.grant.locator import seal_locator
from consent.grant.officers import Officers
from consent.grant.opening import OpenedEvent, open_event, open_opening
from consent.grant.request import ConsentRequest, VerifiedRequest, sign_request, verify_request
from consent.grant.use import (
    Allow,
    Deny,
    UseRequest,
    VerifiedUseRequest,
    sign_use_request,
    verify_use_answer,
    verify_use_request,
)
from consent.grant.withdrawal import sign_withdrawal
from consent.holder.allow import ProvenAllow, prove_allow
from consent.ledger.groups import Group
from consent.ledger.schema import open_engine, upgrade
from consent.log.quorum import Quorum
from consent.log.witness_client import WitnessClient
from consent.log.writer import LogWriter
from consent.procedure.declaration import (
    DataDeclaration,
    Declaration,
    DeclaredAttribute,
    PurposeDeclaration,
    sign_declaration,
)
from consent.procedure.procedures import CheckProcedure
from consent.service.app import create_app
from consent.service.credentials import Credentials
from consent.service.logbook import LogSettings
from consent.service.office import Office, open_office
from consent.service.operator import Operator
from identity.codec import base64url, strict_json
from identity.errors import CredentialError, TrustError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash import InProcessKeyedHash
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.trust.bases import VerifiedBases
from identity.trust.party import Party
from identity.trust.registry import VerifiedRegistry

NOW = 1_795_315_010
DAY = 86_400
URL = "http://localhost:8101"
ORIGIN = "localhost:8101/log/2026"

CONSENT = "urn:atorga:party:consent"
SERVICE = "urn:atorga:party:social-services"
OTHER_SERVICE = "urn:atorga:party:library"
HOLDER = "urn:atorga:party:hacienda"
OTHER_HOLDER = "urn:atorga:party:health"
PURPOSE = "https://w3id.org/dpv#PublicBenefit"
OTHER_PURPOSE = "https://w3id.org/dpv#ServiceProvision"
CATEGORY = "https://w3id.org/dpv/pd#Income"
HOUSEHOLD = "https://w3id.org/dpv/pd#Household"

ROLES = {
    CONSENT: {"consent", "log", "verifier"},
    SERVICE: {"service"},
    OTHER_SERVICE: {"service"},
    HOLDER: {"holder"},
    OTHER_HOLDER: {"holder"},
}


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def listed(keys: Mapping[str, PublicKey], *, now: float, seconds: float = 30 * DAY) -> VerifiedRegistry:
    """A list as if it had been verified."""
    parties = tuple(
        Party(
            id=party_id,
            roles=frozenset(ROLES[party_id]),
            name={"en": party_id.rpartition(":")[2]},
            legal_entity="City council",
            contact="mailto:dpo@city.example",
            territory="ES-CT",
            valid_from=int(now) - DAY,
            valid_to=int(now + seconds),
            public_key=key,
            certificates=(),
            issuer=None,
            vcts=(),
            status_prefixes=(),
            log_vkey=None,
            endpoints={},
        )
        for party_id, key in keys.items()
    )
    return VerifiedRegistry(
        issuer="urn:atorga:party:registry",
        version=1,
        issued=int(now),
        expires=int(now + seconds),
        compact="",
        parties=parties,
    )


def fake_jar(nonce: str) -> str:
    return f"jar.{nonce}"


def fake_check(vp_token: Mapping[str, Any], nonce: str) -> str:
    """A presentation is ``{"claim": text, "nonce": the one it was made for}``."""
    if vp_token.get("nonce") != nonce:
        raise CredentialError("presentation: made for another nonce")
    return str(vp_token["claim"])


@dataclass
class Keys:
    """Everybody's keys; the same for a service that is started again."""

    signers: dict[str, SoftwareSigner] = field(
        default_factory=lambda: {party_id: SoftwareSigner.generate() for party_id in ROLES}
    )
    hpke: AgreementPrivateKey = field(default_factory=AgreementPrivateKey.generate)
    log_seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    nonce_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    claim_hash: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def log(self) -> Ed25519Signer:
        return Ed25519Signer(self.log_seed)

    def listed(self, now: float) -> VerifiedRegistry:
        return listed({party_id: signer.public_key for party_id, signer in self.signers.items()}, now=now)


class Driver:
    """HTTP to a consent service, as everybody who calls it."""

    def __init__(
        self, url: str, keys: Keys, *, clock: Callable[[], float], vkey: str, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.url = url
        self.keys = keys
        self.clock = clock
        self.vkey = vkey
        self.nonce = ""
        self._runner = asyncio.Runner()
        self._http = httpx.AsyncClient(transport=transport, base_url=url, trust_env=False, timeout=30.0)

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._runner.run(self._http.request(method, path, content=body or None, headers=named))
        self.nonce = answer.headers.get(spec.PROOF_NONCE_HEADER, self.nonce)
        return answer

    def send_headers(self, method: str, path: str, headers: list[tuple[str, str]]) -> httpx.Response:
        """With headers as they are, also two of one name."""
        return self._runner.run(self._http.request(method, path, headers=headers))

    def send_all(self, calls: list[tuple[str, str, bytes, dict[str, str]]]) -> list[httpx.Response]:
        """All at once."""

        async def together() -> list[httpx.Response]:
            return await asyncio.gather(
                *(
                    self._http.request(method, path, content=body, headers=headers)
                    for method, path, body, headers in calls
                )
            )

        return self._runner.run(together())

    def get(self, path: str) -> httpx.Response:
        return self.send("GET", path)

    def post_jws(self, path: str, compact: str, method: str = "POST") -> httpx.Response:
        return self.send(method, path, compact.encode(), content_type=spec.MEDIA_JWT)

    def proof(self, signer: SoftwareSigner, verb: str, path: str, body: bytes = b"", **changes: Any) -> str:
        named: dict[str, Any] = {
            "method": verb,
            "url": self.url + path,
            "nonce": self.nonce,
            "now": int(self.clock()),
            "random": secrets.token_bytes,
            "body": body,
        }
        return sign_proof(signer, **named | changes)

    def proven(
        self, signer: SoftwareSigner, method: str, path: str, value: Any = None, *, with_jwk: bool = False
    ) -> httpx.Response:
        """With a proof; a nonce that is missing or old is fetched and the call made once more, as callers do."""
        body = b"" if value is None else strict_json.compact(value)
        answer = self._proven_once(signer, method, path, body, with_jwk)
        if answer.status_code == 401 and answer.json()["error"] == spec.USE_PROOF_NONCE:
            answer = self._proven_once(signer, method, path, body, with_jwk)
        return answer

    def _proven_once(
        self, signer: SoftwareSigner, method: str, path: str, body: bytes, with_jwk: bool
    ) -> httpx.Response:
        headers = {"Request_Proof": self.proof(signer, method, path, body, with_jwk=with_jwk)}
        if body:
            headers["content_type"] = spec.MEDIA_JSON
        return self.send(method, path, body, **headers)

    # ── services and data holders ────────────────────────────────────────────────────────────

    def signer(self, party_id: str) -> SoftwareSigner:
        return self.keys.signers[party_id]

    def key_of(self, party_id: str) -> PublicKey:
        return self.signer(party_id).public_key

    def declare(self, *declarations: Declaration) -> list[httpx.Response]:
        return [self.post_jws("/declarations", sign_declaration(one, self.signer(one.iss))) for one in declarations]

    def data_declaration(self, **changes: Any) -> DataDeclaration:
        attribute = DeclaredAttribute(CATEGORY, ("raw", "binned:eur-6", "binned:eur-3"), (PURPOSE,))
        size = DeclaredAttribute(HOUSEHOLD, ("raw",), (PURPOSE,))
        declared = DataDeclaration(
            HOLDER, "income", 1, "urn:atorga:person-id:1", ("personal_administrative_number",), self.keys.hpke.public,
            {"income.band": attribute, "household.size": size},
        )  # fmt: skip
        return replace(declared, **changes)

    def purpose_declaration(self, **changes: Any) -> PurposeDeclaration:
        declared = PurposeDeclaration(
            SERVICE, "rent-subsidy", 1, "rent-subsidy", PURPOSE, ("income.band", "household.size"), (HOLDER,),
            "consent", 90 * DAY, {"en": "For the rent subsidy.", "ca": "Per a l'ajut de lloguer."}, False,
        )  # fmt: skip
        return replace(declared, **changes)

    def declare_all(self) -> None:
        for answer in self.declare(self.data_declaration(), self.purpose_declaration()):
            assert answer.status_code == 201, answer.text

    def detail(self, **changes: Any) -> AuthorizationDetail:
        now = int(self.clock())
        detail = AuthorizationDetail(
            holder=HOLDER, identifier="rent-subsidy@1", procedure="rent-subsidy", purpose=PURPOSE,
            datatypes=("income.band", "household.size"),
            terms={"income.band": Term("binned:eur-6", False), "household.size": Term("raw", True)},
            level="readable", mode="view", fetch="periodic", frequency=Frequency(5, DAY), max_uses=10,
            not_before=now - 60, not_after=now + 20 * DAY, data_life_seconds=30 * DAY, on_change="ask",
        )  # fmt: skip
        return replace(detail, **changes)

    def request(self, detail: AuthorizationDetail | None = None, **changes: Any) -> str:
        now = int(self.clock())
        asked = ConsentRequest(
            SERVICE, CONSENT, base64url.encode(secrets.token_bytes(16)), now, now + 600, None, detail or self.detail()
        )
        asked = replace(asked, **changes)
        return sign_request(asked, self.signer(asked.service))

    def ask(self, detail: AuthorizationDetail | None = None, **changes: Any) -> VerifiedRequest:
        compact = self.request(detail, **changes)
        answer = self.post_jws("/requests", compact)
        assert answer.status_code == 201, answer.text
        return verify_request(compact, key_of=self.key_of, consent=CONSENT, now=int(self.clock()))

    def use_request(self, grant_id: str, **changes: Any) -> VerifiedUseRequest:
        now = int(self.clock())
        asked = UseRequest(
            service=SERVICE, holder=HOLDER, id=base64url.encode(secrets.token_bytes(16)), issued=now, expires=now + 60,
            grant_id=grant_id, purpose=PURPOSE, procedure="rent-subsidy", attributes=("income.band",),
            expected_subject=None, reply_key=AgreementPrivateKey.generate().public,
        )  # fmt: skip
        asked = replace(asked, **changes)
        compact = sign_use_request(asked, self.signer(asked.service))
        return verify_use_request(compact, key_of=self.key_of, holder=None, now=now)

    def use(self, request: VerifiedUseRequest, *, caller: str = HOLDER) -> httpx.Response:
        return self.proven(self.signer(caller), "POST", "/uses", {"use_request": request.compact})

    def answer(self, answer: httpx.Response, request: VerifiedUseRequest, *, caller: str = HOLDER) -> Allow | Deny:
        """The answer as a data holder reads it."""
        assert answer.status_code in (200, 403), answer.text
        assert answer.headers["content-type"] == spec.MEDIA_JWT
        own = replace(request, request=replace(request.request, holder=caller))
        read = verify_use_answer(
            answer.text, consent_key=self.key_of(CONSENT), consent=CONSENT, request=own, now=int(self.clock())
        )
        assert isinstance(read, Allow) == (answer.status_code == 200)
        return read

    def reasons(self, answer: httpx.Response, request: VerifiedUseRequest, *, caller: str = HOLDER) -> list[str]:
        read = self.answer(answer, request, caller=caller)
        assert isinstance(read, Deny), read
        return [reason.code for reason in read.reasons]

    def prove(
        self,
        answer: httpx.Response,
        request: VerifiedUseRequest,
        wallet: "Resident",
        quorum: Quorum | None = None,
        accreditation: VerifiedAccreditation | None = None,
    ) -> ProvenAllow:
        """As a data holder does before it releases anything."""
        allow = self.answer(answer, request)
        assert isinstance(allow, Allow), allow
        services = self.get("/services").json()
        numbers = {one["id"]: one["number"] for one in services["services"]}
        purposes = {one["iri"]: one["number"] for one in services["purposes"]}
        return prove_allow(
            allow,
            request=request,
            hpke_keys=[self.keys.hpke],
            link_key={wallet.link: wallet.link_key.public_key}.get,
            key_of=self.key_of,
            resolutions=lambda _: self.data_declaration().resolutions,
            numbers=lambda service, purpose: (numbers[service], purposes[purpose]),
            log_vkey=self.vkey,
            quorum=lambda _: quorum,
            accreditation=accreditation,
        )


class ConsentCity(Driver):
    """The service in this process."""

    def __init__(
        self,
        folder: Path,
        *,
        keys: Keys | None = None,
        clock: Callable[[], float] | None = None,
        witnesses: Callable[[Ed25519Signer], list[WitnessClient]] = lambda _: [],
        quorum: Quorum | None = None,
        compare: Callable[[LogWriter], None] = lambda _: None,
        check_procedure: CheckProcedure = lambda declaration: None,
        credentials: Credentials | None = None,
        origin: str = ORIGIN,
        groups: Sequence[Group] = (),
        retention_seconds: int | None = None,
        officers: Officers | None = None,
    ) -> None:
        """Any procedure passes, unless ``check_procedure`` says otherwise."""
        keys, clock = keys or Keys(), clock or Clock()
        self.folder = folder
        self.registry: VerifiedRegistry | None = keys.listed(clock())
        self.bases: VerifiedBases | None = None
        self.engine: Engine = open_engine(f"sqlite:///{folder / 'consent.db'}")
        upgrade(self.engine)
        self.office: Office = open_office(
            Operator(CONSENT, URL, keys.signers[CONSENT], clock, secrets.token_bytes),
            engine=self.engine,
            registry=self._current,
            log=LogSettings(
                folder / "log",
                origin,
                keys.log,
                witnesses=witnesses(keys.log),
                quorum=quorum,
                compare=compare,
                groups=groups,
                retention_seconds=retention_seconds,
            ),
            openings=folder / "opening",
            nonce_secret=keys.nonce_secret,
            claim_hash=InProcessKeyedHash({"account": keys.claim_hash}),
            make_jar=fake_jar,
            check_presentation=fake_check,
            bases=self._bases,
            # Rounds of bookkeeping are a test's own doing.
            round_seconds=3_600,
            allow_loopback_http=True,
            officers=officers,
            check_procedure=check_procedure,
            credentials=credentials,
        )
        self.office.start()
        transport = httpx.ASGITransport(create_app(self.office), raise_app_exceptions=False)
        super().__init__(URL, keys, clock=clock, vkey=self.office.sequencer.writer.key.format(), transport=transport)

    def _current(self) -> VerifiedRegistry:
        if self.registry is None:
            raise TrustError("registry: not reachable")
        return self.registry

    def _bases(self) -> VerifiedBases:
        if self.bases is None:
            raise TrustError("bases: not reachable")
        return self.bases

    def close(self) -> None:
        super().close()
        self.office.stop()
        self.engine.dispose()


@dataclass
class Held:
    """A grant in a wallet."""

    id: str
    key: SoftwareSigner
    compact: str
    receipt: str


class Resident:
    """Whoever has plain keys and, at enrolment, something to present."""

    def __init__(self, city: Driver, claim: str = "p7x3") -> None:
        self.city = city
        self.claim = claim
        self.key = SoftwareSigner.generate()
        self.view_key = AgreementPrivateKey.generate()
        self.link = base64url.encode(secrets.token_bytes(16))
        self.link_key = SoftwareSigner.generate()

    def enrol(self) -> httpx.Response:
        thumbprint = self.key.public_key.thumbprint
        offered = self.city.get(f"/me/account/request?jkt={thumbprint}")
        assert offered.status_code == 200, offered.text
        nonce = account_nonce(CONSENT, thumbprint, base64url.decode(offered.json()["random"]))
        vp_token = self.present(offered.json()["request"], nonce)
        body = {"vp_token": vp_token, "view_jwk": self.view_key.public.jwk()}
        return self.call("POST", "/me/account", body, with_jwk=True)

    def present(self, jar: str, nonce: str) -> dict[str, Any]:
        assert jar == fake_jar(nonce)
        return {"claim": self.claim, "nonce": nonce}

    def enrolled(self) -> Self:
        answer = self.enrol()
        assert answer.status_code in (200, 201), answer.text
        return self

    def call(self, method: str, path: str, value: Any = None, *, with_jwk: bool = False) -> httpx.Response:
        return self.city.proven(self.key, method, path, value, with_jwk=with_jwk)

    def sign_grant(self, request: VerifiedRequest, key: SoftwareSigner, **changes: Any) -> str:
        named: dict[str, Any] = {
            "grant_id": base64url.encode(secrets.token_bytes(16)),
            "request": request,
            "detail": request.request.detail,
            "decision": "given",
            "now": int(self.city.clock()),
            "signer": key,
        }
        return sign_grant(**named | changes)

    def locator(self, grant: str) -> str:
        return seal_locator(
            self.city.keys.hpke.public, holder=HOLDER, grant=grant, link=self.link, link_signer=self.link_key
        )

    def answer(self, request: VerifiedRequest, **changes: Any) -> tuple[httpx.Response, SoftwareSigner, str]:
        key = SoftwareSigner.generate()
        compact = self.sign_grant(request, key, **changes)
        body = {"grant": compact, "locator": self.locator(compact)}
        return self.call("POST", "/me/grants", body), key, compact

    def give(self, request: VerifiedRequest | None = None, **changes: Any) -> Held:
        answer, key, compact = self.answer(request or self.city.ask(), **changes)
        assert answer.status_code == 201, answer.text
        given = answer.json()
        assert (given["state"], given["counter"]) == ("given", 1)
        return Held(given["grant_id"], key, compact, given["receipt"].removeprefix(self.city.url))

    def withdraw(self, held: Held, *attributes: str, key: SoftwareSigner | None = None) -> httpx.Response:
        compact = sign_withdrawal(
            held.id, attributes or None, signer=key or held.key, now=int(self.city.clock()), random=secrets.token_bytes
        )
        return self.city.post_jws("/withdrawals", compact)

    def act(
        self, held: Held, number: int, verb: str, detail: AuthorizationDetail | None = None, **changes: Any
    ) -> httpx.Response:
        deeds: dict[str, Deed] = {"pause": Pause(), "resume": Resume()}
        named: dict[str, Any] = {
            "consent": CONSENT,
            "signer": held.key,
            "now": int(self.city.clock()),
            "random": secrets.token_bytes,
        }
        deed = deeds[verb] if detail is None else Amend(detail)
        compact = sign_act(held.id, number, deed, **named | changes)
        return self.city.post_jws(f"/me/grants/{held.id}", compact, "PATCH")

    def opening(self, held: Held) -> AgreementPrivateKey:
        sealed = self.call("GET", f"/me/grants/{held.id}").json()["opening"]
        return open_opening(self.view_key, sealed, grant_id=held.id)

    def open(self, item: Mapping[str, Any], opening: AgreementPrivateKey) -> OpenedEvent:
        return open_event(opening, item["sealed"], leaf_id=item["grant_id"], counter=item["counter"])


class Wallet(Resident):
    """A resident of the service in this process."""

    city: ConsentCity

    def __init__(self, city: ConsentCity, claim: str = "p7x3") -> None:
        super().__init__(city, claim)
        self.city = city
