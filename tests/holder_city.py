"""A small city for tests of the data holder and the kit: its parties and keys, one register, wallets with plain keys.

The consent service is scripted (``tests.scripted_consent``); data holder, kit and wallets are ours.
"""

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.testclient import TestClient

from consent.caller.client import Client
from consent.caller.nonces import Nonces
from consent.caller.proof import sign_proof
from consent.door.store import DoorStore
from consent.errors import MessageError
from consent.grant.accreditation import VerifiedAccreditation
from consent.grant.act import Deed, sign_act
from consent.grant.detail import AuthorizationDetail, Term
from consent.grant.grant import GIVEN, sign_grant
from consent.grant.locator import seal_locator
from consent.grant.request import ConsentRequest, VerifiedRequest, sign_request, verify_request
from consent.grant.use import UseRequest, seal_subject, sign_use_request
from consent.grant.withdrawal import sign_withdrawal
from consent.holder.app import Services, holder_app
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.enforcement import Enforcement
from consent.holder.first_value import SCOPE, Changes, forget
from consent.holder.journal import Journal
from consent.holder.law import Law
from consent.holder.law_journal import LawJournal
from consent.holder.link import link_nonce, seal_link
from consent.holder.link_store import LinkStore
from consent.holder.linking import Linking
from consent.holder.records import RecordStore
from consent.holder.register import AttributeSource, Lookup, Query, SqlRegister, open_register
from consent.holder.resolution import Binned, Predicate, Reduction, Resolutions, numbered
from consent.holder.schema import open_engine, upgrade
from consent.holder.sending import Sending
from consent.holder.source import SqlSource
from consent.holder.told_acts import ToldActs
from consent.ledger.proofs import ProofStore
from consent.log.note import COSIGNATURE_V1, NoteKey
from consent.log.quorum import Quorum
from consent.procedure.declaration import DataDeclaration, DeclaredAttribute, PurposeDeclaration, sign_declaration
from consent.procedure.published import listed
from identity.codec import base64url, strict_json
from identity.errors import TrustError
from identity.formats.sd_jwt_vc import issue, present
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash import InProcessKeyedHash, KeyedHash
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.trust.bases import Basis, VerifiedBases
from identity.trust.registry import Party, VerifiedRegistry
from tests.scripted_consent import ScriptedConsent

NOW = 1_795_315_110
CONSENT, HOLDER = "urn:atorga:party:consent", "urn:atorga:party:hacienda"
SERVICE, OTHER_SERVICE = "urn:atorga:party:social-services", "urn:atorga:party:library"
CONSENT_URL, HOLDER_URL = "http://localhost:8101", "http://localhost:8102"
ISSUER, VCT = "http://localhost:8100/bcn", "urn:atorga:person-id:1"
PURPOSE = "https://w3id.org/dpv#PublicBenefit"
CLAIM = "personal_administrative_number"
ANNA, BERTA = "99999990S", "99999991Q"
INCOME = 17_432

ROW = Query("SELECT row_id FROM resident WHERE nif = :value", "value")
SOURCES = {
    "income.band": AttributeSource(
        "integer", Query("SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1", "row")
    ),
    "household.size": AttributeSource("integer", Lookup("household", "size", "row_id", "row")),
}
REDUCTIONS: dict[str, Reduction] = {
    "binned:eur-6": Binned((9_000, 15_000, 21_000, 30_000, 45_000), numbered(6)),
    "predicate:below-iprem-3": Predicate(below=25_200),
    "predicate:over-4": Predicate(at_least=5),
}
ATTRIBUTES = {
    "income.band": DeclaredAttribute(
        "https://w3id.org/dpv/pd#Income", ("raw", "binned:eur-6", "predicate:below-iprem-3"), (PURPOSE,)
    ),
    "household.size": DeclaredAttribute("https://w3id.org/dpv/pd#Household", ("raw", "predicate:over-4"), (PURPOSE,)),
}


@dataclass
class Clock:
    now: float = float(NOW)

    def __call__(self) -> float:
        return self.now


def party(name: str, role: str, key: PublicKey, endpoints: Mapping[str, str]) -> Party:
    return Party(
        id=name,
        roles=frozenset({role}),
        name={"en": name},
        legal_entity="Test town",
        contact="mailto:nobody@localhost.invalid",
        territory="ES-CT",
        valid_from=NOW - 1_000,
        valid_to=NOW + 10**9,
        public_key=key,
        certificates=(),
        issuer=None,
        vcts=(),
        status_prefixes=(),
        log_vkey=None,
        endpoints=endpoints,
    )


def purpose_declaration(*, sensitive: bool = False, **changes: Any) -> PurposeDeclaration:
    members: dict[str, Any] = {
        "iss": SERVICE,
        "id": "rent-subsidy",
        "version": 1,
        "procedure": "rent-subsidy",
        "purpose": PURPOSE,
        "datatypes": ("income.band", "household.size"),
        "holders": (HOLDER,),
        "legal_basis": "consent",
        "retention_seconds": 7_776_000,
        "notice": {"en": "Rent subsidy."},
        "sensitive": sensitive,
    }
    return PurposeDeclaration(**members | changes)


def make_register(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript(
            f"""
            CREATE TABLE resident (row_id INTEGER PRIMARY KEY, nif TEXT NOT NULL);
            CREATE TABLE income (row_id INTEGER, year INTEGER, amount_eur INTEGER);
            CREATE TABLE household (row_id INTEGER, size INTEGER);
            INSERT INTO resident VALUES (1, '{ANNA}'), (2, '{BERTA}');
            INSERT INTO income VALUES (1, 2024, 1000), (1, 2025, {INCOME}), (2, 2025, 60000);
            INSERT INTO household VALUES (1, 3);
            """
        )
    connection.close()


@dataclass
class Wallet:
    """A resident with plain keys: a credential, a link key, grant keys."""

    nif: str
    link_key: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    holder_key: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    grant_key: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    link: str = ""


class City:
    def __init__(self, folder: Path, *, witnesses: bool = False) -> None:
        self.clock = Clock()
        self.keys = {name: SoftwareSigner.generate() for name in (CONSENT, HOLDER, SERVICE, OTHER_SERVICE)}
        self.issuer = SoftwareSigner.generate()
        self.hpke, self.previous_hpke = AgreementPrivateKey.generate(), AgreementPrivateKey.generate()
        self.parties = {
            CONSENT: party(CONSENT, "consent", self.keys[CONSENT].public_key, {"consent": CONSENT_URL}),
            HOLDER: party(
                HOLDER, "holder", self.keys[HOLDER].public_key,
                {name: f"{HOLDER_URL}/{name}" for name in ("links", "journal", "data", "withdrawals")},
            ),
            SERVICE: party(
                SERVICE, "service", self.keys[SERVICE].public_key,
                {"withdrawals": "http://localhost:8104/withdrawals"},
            ),
            OTHER_SERVICE: party(OTHER_SERVICE, "service", self.keys[OTHER_SERVICE].public_key, {}),
        }  # fmt: skip
        self.registry_down = self.bases_down = False
        self.approved: list[Basis] = []
        self.accreditations: dict[str, VerifiedAccreditation | Exception] = {}
        self.keyed_hash: KeyedHash = InProcessKeyedHash({SCOPE: bytes(range(32))})
        witness = Ed25519Signer(bytes(range(1, 33)))
        self.quorum = Quorum((NoteKey("witness.example", COSIGNATURE_V1, witness.public),), 1)
        self.consent = ScriptedConsent(
            CONSENT, CONSENT_URL, self.keys[CONSENT], folder / "log", self.clock, secrets.token_bytes, self.key_of,
            witness=witness if witnesses else None,
        )  # fmt: skip
        self.consent.services = {SERVICE: 1, HOLDER: 3}
        self.consent.purposes = {PURPOSE: 2}
        self.purpose = purpose_declaration()
        self.consent.declarations.append(sign_declaration(self.purpose, self.keys[SERVICE]))
        make_register(folder / "register.sqlite")
        self.declaration = DataDeclaration(HOLDER, "padron", 1, VCT, (CLAIM,), self.hpke.public, ATTRIBUTES)
        self.consent.declarations.append(sign_declaration(self.declaration, self.keys[HOLDER]))
        self.status_faults: list[Exception] = []
        self.folder = folder
        self.hosts: dict[str, Starlette] = {CONSENT_URL: self.consent.app()}
        self.services = self.holder_services()
        self.hosts[HOLDER_URL] = holder_app(self.services)

    # ── parties ──────────────────────────────────────────────────────────────────────────────

    def registry(self) -> VerifiedRegistry:
        if self.registry_down:
            raise TrustError("registry: no list is known")
        return VerifiedRegistry("urn:atorga:party:registry", 1, NOW - 10, NOW + 10**9, "", tuple(self.parties.values()))

    def key_of(self, name: str) -> PublicKey:
        return self.registry().party(name, now=self.clock()).public_key

    def http(self) -> httpx.Client:
        """Requests reach the applications of this city and nothing else."""
        mounts = {f"all://{url.removeprefix('http://')}": TestClient(app)._transport for url, app in self.hosts.items()}
        return httpx.Client(mounts=mounts, transport=httpx.MockTransport(_nobody))

    def client(self, name: str) -> Client:
        return Client(
            self.http(), signer=self.keys[name], clock=self.clock, random=secrets.token_bytes, allow_loopback_http=True
        )

    def bases(self) -> VerifiedBases:
        if self.bases_down:
            raise TrustError("bases: no list is known")
        return VerifiedBases("urn:atorga:party:registry", 1, NOW - 10, NOW + 10**9, "", tuple(self.approved))

    # ── the data holder ──────────────────────────────────────────────────────────────────────

    def holder_services(self, *, quorum: Quorum | None = None) -> Services:
        engine = open_engine(f"sqlite:///{self.folder / 'holder.db'}")
        upgrade(engine)
        register = SqlRegister(open_register(f"sqlite:///{self.folder / 'register.sqlite'}"), ROW, SOURCES)
        source = SqlSource(register, Resolutions(register, SOURCES, REDUCTIONS))
        holder = DataHolder(HOLDER, self.keys[HOLDER], (self.hpke, self.previous_hpke), self.declaration)
        links, journal, law_journal = LinkStore(engine), Journal(engine, self.clock), LawJournal(engine, self.clock)
        consent = ConsentService(self.client(HOLDER), listed(self.registry, CONSENT, self.clock), self.clock)
        self.records = RecordStore(engine)
        self.sending = Sending(
            holder, registry=self.registry, consent=consent, law=law_journal, records=self.records,
            log_vkey=self.consent.vkey, clock=self.clock,
        )  # fmt: skip

        def check_status(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
            if self.status_faults:
                raise self.status_faults.pop()

        return Services(
            url=HOLDER_URL,
            consent=CONSENT,
            linking=Linking(
                holder, issuer_key=self.issuer_key, check_status=check_status, source=source, links=links,
                clock=self.clock, random=secrets.token_bytes,
            ),
            enforcement=Enforcement(
                holder, registry=self.registry, links=links, journal=journal, source=source,
                consent=consent,
                keyed_hash=self.keyed_hash, log_vkey=self.consent.vkey, quorum=quorum, clock=self.clock,
                verify_accreditation=self.accredited,
            ),
            law=Law(
                holder, registry=self.registry, bases=self.bases, consent=consent, links=links, journal=law_journal,
                source=source, log_vkey=self.consent.vkey, quorum=quorum, clock=self.clock,
            ),
            links=links, journal=journal, door=DoorStore(engine, on_end=forget), acts=ToldActs(engine),
            changes=Changes(engine), proofs=ProofStore(engine),
            nonces=Nonces(bytes(32)), clock=self.clock,
        )  # fmt: skip

    def accredited(self, presentation: str, service: str, audience: str, nonce: str) -> VerifiedAccreditation:
        """Presentations that a test made up: text → what it proves, or the fault."""
        found = self.accreditations.get(presentation)
        if isinstance(found, Exception):
            raise found
        if found is None or audience != HOLDER:
            raise MessageError("accreditation: refused")
        return found

    def issuer_key(self, header: Mapping[str, Any], iss: str, vct: str) -> PublicKey:
        if iss != ISSUER:
            raise TrustError("issuer: not listed")
        return self.issuer.public_key

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        with self.http() as http:
            return http.request(method, HOLDER_URL + path, **request)

    # ── what residents do ────────────────────────────────────────────────────────────────────

    def presentation(self, wallet: Wallet, mailbox: str, **changes: Any) -> str:
        named: dict[str, Any] = {
            "claims": {CLAIM: wallet.nif, "given_name": "Anna"},
            "vct": VCT,
            "issuer": ISSUER,
            "audience": HOLDER,
            "nonce": link_nonce(HOLDER, wallet.link_key.public_key.thumbprint, mailbox),
            "at": NOW,
            "disclose": [(CLAIM,)],
            "signer": self.issuer,
        } | changes
        credential = issue.issue(
            claims=named["claims"],
            disclosable=[(name,) for name in named["claims"]],
            vct=named["vct"],
            issuer=named["issuer"],
            signer=named["signer"],
            x5c=[],
            holder_key=wallet.holder_key.public_key,
            iat=NOW - 3_600,
            exp=NOW + 3_600,
            random=secrets.token_bytes,
        )
        return present.present(
            credential,
            disclose=named["disclose"],
            audience=named["audience"],
            nonce=named["nonce"],
            now=named["at"],
            holder=wallet.holder_key,
        )

    def link_body(self, wallet: Wallet, *, key: AgreementPrivateKey | None = None, **changes: Any) -> dict[str, str]:
        mailbox = base64url.encode(bytes(16))
        sealed = seal_link(
            (key or self.hpke).public,
            holder=HOLDER,
            link_key=wallet.link_key.public_key,
            mailbox=mailbox,
            vp_token=changes.pop("vp_token", None) or self.presentation(wallet, mailbox, **changes),
        )
        return {"sealed": sealed}

    def resident(self, nif: str = ANNA) -> Wallet:
        """A wallet with its link."""
        wallet = Wallet(nif)
        answer = self.call("POST", "/links", json=self.link_body(wallet))
        assert answer.status_code == 201, answer.text
        wallet.link = answer.json()["link"]
        return wallet

    def detail(self, **changes: Any) -> AuthorizationDetail:
        named: dict[str, Any] = {
            "holder": HOLDER,
            "identifier": "rent-subsidy@1",
            "procedure": "rent-subsidy",
            "purpose": PURPOSE,
            "datatypes": ("income.band", "household.size"),
            "terms": {"income.band": Term("binned:eur-6", False), "household.size": Term("raw", True)},
            "level": "readable",
            "mode": "view",
            "fetch": "periodic",
            "frequency": None,
            "max_uses": None,
            "not_before": NOW - 600,
            "not_after": NOW + 90 * 86_400,
            "data_life_seconds": 7_776_000,
            "on_change": "follow",
        }
        return AuthorizationDetail(**named | changes)

    def request(self, detail: AuthorizationDetail, *, service: str = SERVICE) -> VerifiedRequest:
        now = int(self.clock())
        asked = ConsentRequest(
            service, CONSENT, base64url.encode(secrets.token_bytes(16)), now, now + 600, None, detail
        )
        signed = sign_request(asked, self.keys[service])
        return verify_request(signed, key_of=self.key_of, consent=CONSENT, now=now)

    def signed_grant(
        self, wallet: Wallet, request: VerifiedRequest, detail: AuthorizationDetail, grant_id: str | None = None
    ) -> str:
        return sign_grant(
            grant_id=grant_id or base64url.encode(secrets.token_bytes(16)),
            request=request,
            detail=detail,
            decision=GIVEN,
            now=int(self.clock()),
            signer=wallet.grant_key,
        )

    def locator(self, wallet: Wallet, grant: str, *, key: AgreementPrivateKey | None = None) -> str:
        return seal_locator(
            (key or self.hpke).public, holder=HOLDER, grant=grant, link=wallet.link, link_signer=wallet.link_key
        )

    def grant(self, wallet: Wallet, **changes: Any) -> str:
        """The resident gives all that is asked; returns the grant's id."""
        detail = self.detail(**changes)
        signed = self.signed_grant(wallet, self.request(detail), detail)
        return self.consent.give(signed, self.locator(wallet, signed), self.declaration.resolutions)

    def withdrawal(self, wallet: Wallet, grant_id: str, attributes: tuple[str, ...] | None = None) -> str:
        return sign_withdrawal(
            grant_id, attributes, signer=wallet.grant_key, now=int(self.clock()), random=secrets.token_bytes
        )

    def withdraw(self, wallet: Wallet, grant_id: str, attributes: tuple[str, ...] | None = None) -> httpx.Response:
        """At the data holder's door."""
        return self.call(
            "POST", "/withdrawals", content=self.withdrawal(wallet, grant_id, attributes),
            headers={"Content-Type": "application/jwt"},
        )  # fmt: skip

    def journal(self, wallet: Wallet) -> dict[str, Any]:
        answer = self.proven(wallet, "GET", "/journal")
        assert answer.status_code == 200, answer.text
        value: dict[str, Any] = answer.json()
        return value

    def proven(self, wallet: Wallet, method: str, path: str, value: Any = None) -> httpx.Response:
        """A request that the link key proves."""
        body = b"" if value is None else strict_json.compact(value)

        def headers(nonce: str) -> dict[str, str]:
            signed = sign_proof(
                wallet.link_key, method=method, url=f"{HOLDER_URL}{path}", nonce=nonce, now=int(self.clock()),
                random=secrets.token_bytes, body=body,
            )  # fmt: skip
            return {"Request-Proof": signed} | ({"Content-Type": "application/json"} if body else {})

        first = self.call(method, path, content=body, headers=headers(""))
        assert first.status_code == 401 and first.json() == {"error": "use_proof_nonce"}
        return self.call(method, path, content=body, headers=headers(first.headers["Proof-Nonce"]))

    def act(self, wallet: Wallet, grant_id: str, number: int, deed: Deed, **changes: Any) -> httpx.Response:
        """An act at the data holder's door."""
        named: dict[str, Any] = {"consent": CONSENT, "signer": wallet.grant_key} | changes
        compact = sign_act(grant_id, number, deed, now=int(self.clock()), random=secrets.token_bytes, **named)
        return self.call("POST", "/acts", content=compact, headers={"Content-Type": "application/jwt"})

    # ── what services do ─────────────────────────────────────────────────────────────────────

    def use_request(
        self,
        grant_id: str,
        *,
        service: str = SERVICE,
        subject: Mapping[str, str] | None = None,
        reply: AgreementPrivateKey | None = None,
        signer: SoftwareSigner | None = None,
        **changes: Any,
    ) -> str:
        now, name = int(self.clock()), base64url.encode(secrets.token_bytes(16))
        sealed = None
        if subject is not None:
            sealed = seal_subject(self.hpke.public, service=service, request_id=name, subject=subject)
        named: dict[str, Any] = {
            "service": service,
            "holder": HOLDER,
            "id": name,
            "issued": now,
            "expires": now + 60,
            "grant_id": grant_id,
            "purpose": PURPOSE,
            "procedure": "rent-subsidy",
            "attributes": ("income.band",),
            "expected_subject": sealed,
            "reply_key": (reply or AgreementPrivateKey.generate()).public,
        } | changes
        return sign_use_request(UseRequest(**named), signer or self.keys[service])

    def send(self, compact: str) -> httpx.Response:
        return self.call("POST", "/data", content=compact, headers={"Content-Type": "application/jwt"})

    def read(self, grant_id: str, **changes: Any) -> httpx.Response:
        return self.send(self.use_request(grant_id, **changes))


def _nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is there", request=request)
