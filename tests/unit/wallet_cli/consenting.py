"""The scripted city's consent side: the real consent service in this process; data holder and service by hand."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from consent.caller.nonces import Nonces
from consent.caller.proof import verify_proof
from consent.errors import ConsentError
from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.grant.notice import BasisRequest, sign_basis_request
from consent.grant.request import ConsentRequest, sign_request
from consent.grant.use import UseRequest, seal_subject, sign_use_request
from consent.grant.withdrawal import verify_withdrawal
from consent.holder.link import open_link
from consent.ledger.grants import GrantStore
from consent.ledger.schema import open_engine, upgrade
from consent.log import merkle
from consent.procedure.declaration import (
    DataDeclaration,
    Declaration,
    DeclaredAttribute,
    PurposeDeclaration,
    sign_declaration,
)
from consent.service.app import create_app
from consent.service.enrolling import SCOPE
from consent.service.logbook import LogSettings
from consent.service.office import open_office
from consent.service.operator import Operator
from identity.codec import base64url, jcs
from identity.envelope import jws
from identity.formats.sd_jwt_vc.verify import verify
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash import InProcessKeyedHash
from identity.openid4vp import client_metadata, dcql
from identity.openid4vp import request as openid4vp
from identity.openid4vp.check import check_presentation
from identity.trust.bases import Basis, VerifiedBases, sign_bases, verify_bases
from identity.trust.issuers import IssuerTrust
from tests.unit.wallet_cli.city import (
    CONSENT,
    HOLDER,
    LOG_ORIGIN,
    LOG_SEED,
    PAIRWISE,
    PERSON_ID,
    PORTAL,
    REGISTRY,
    City,
    body,
    party,
    problem,
)

DAY = 86_400
PURPOSE = "https://w3id.org/dpv#PublicBenefit"
CATEGORY, LIVING = "https://w3id.org/dpv/pd#Income", "https://w3id.org/dpv/pd#Household"
INCOME, HOUSEHOLD = "income.band", "household.size"


@dataclass
class Permissions:
    """Everything about consents, with what a test may change before the wallet asks."""

    city: City
    folder: Path
    jar: dict[str, Any] = field(default_factory=dict)
    """Members of the enrolment request that are not what they should be."""
    jar_party: str = "consent"
    releases: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Link key thumbprint → the claims that were presented."""
    withdrawals: dict[str, list[str]] = field(default_factory=lambda: {"holder": [], "service": []})
    approved: list[Basis] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hpke = AgreementPrivateKey.generate()
        self.nonces = Nonces(secrets.token_bytes(32))
        self.folder.mkdir()
        self.engine = open_engine(f"sqlite:///{self.folder / 'consent.db'}")
        upgrade(self.engine)
        self.office = open_office(
            Operator(party("consent"), CONSENT, self.city.keys["consent"], self._clock, secrets.token_bytes),
            engine=self.engine,
            registry=self.city.registry,
            log=LogSettings(self.folder / "log", LOG_ORIGIN, Ed25519Signer(LOG_SEED)),
            openings=self.folder / "opening",
            nonce_secret=secrets.token_bytes(32),
            claim_hash=InProcessKeyedHash({SCOPE: secrets.token_bytes(32)}),
            make_jar=self.make_jar,
            check_presentation=self.check,
            bases=self.bases,
        )
        self.office.start()
        self._runner = asyncio.Runner()
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(self.office)), base_url=CONSENT)
        for method in ("GET", "POST"):
            self.city.answer(method, f"{CONSENT}/*", self.forward)
        self.city.answer("POST", f"{HOLDER}/links", self._link)
        self.city.answer("GET", f"{HOLDER}/journal", self._journal)
        self.city.answer("POST", f"{HOLDER}/withdrawals", lambda request: self._door("holder", request))
        self.city.answer("POST", f"{PORTAL}/withdrawals", lambda request: self._door("service", request))
        self.city.answer("GET", f"{REGISTRY}/bases", lambda _: httpx.Response(200, text=self.bases().compact))
        self.declare(self.data_declaration(), self.purpose_declaration())

    def _clock(self) -> float:
        return self.city.now

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.office.stop()
        self.engine.dispose()

    def forward(self, request: httpx.Request) -> httpx.Response:
        """The consent service's own answer; of a grant once it is logged, so that a receipt is there."""
        answer = self._runner.run(
            self._http.request(
                request.method, str(request.url), content=request.content or None, headers=dict(request.headers)
            )
        )
        if answer.status_code == 201 and "receipt" in answer.json():
            assert self.office.sequencer.wait(base64url.decode(answer.json()["grant_id"]), 1, seconds=30)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def twisted(self, twist: Callable[[dict[str, Any]], None]) -> Callable[[httpx.Request], httpx.Response]:
        """Its honest answers, changed on their way; what is no 200 stays as it is."""

        def answer(request: httpx.Request) -> httpx.Response:
            honest = self.forward(request)
            if honest.status_code != 200:
                return honest
            value = honest.json()
            twist(value)
            return httpx.Response(200, json=value)

        return answer

    # ── the consent service's own presentation ───────────────────────────────────────────────

    def make_jar(self, nonce: str) -> str:
        signing = self.city.pki.access_certificate(self.jar_party)
        claims = openid4vp.make_claims(
            client_id=f"x509_hash:{signing.x5t}",
            response_uri=f"{CONSENT}/me/account",
            response_mode="direct_post",
            nonce=nonce,
            state=None,
            query=dcql.parse(self.query),
            metadata=client_metadata.make(),
            iat=int(self.city.now),
            exp=int(self.city.now) + 600,
        )
        return openid4vp.sign_request({**claims, **self.jar}, signing.signer(), x5c=signing.chain())

    @property
    def query(self) -> dict[str, Any]:
        claims = [{"path": ["ids", party("consent")]}]
        return {
            "credentials": [{"id": "id", "format": "dc+sd-jwt", "meta": {"vct_values": [PAIRWISE]}, "claims": claims}]
        }

    def check(self, vp_token: Mapping[str, Any], nonce: str) -> str:
        found = check_presentation(
            vp_token,
            dcql.parse(self.query),
            issuer_key=self._issuers().issuer_key,
            status_check=None,
            client_id=f"x509_hash:{self.city.pki.access_certificate('consent').x5t}",
            nonce=nonce,
            now=int(self.city.now),
        )
        return str(found.claims["id"][0]["ids"][party("consent")])

    def _issuers(self) -> IssuerTrust:
        return IssuerTrust(self.city.registry, [self.city.pki.root("issuers").chain()[0]], self._clock)

    # ── declarations and requests ────────────────────────────────────────────────────────────

    def data_declaration(self, **changes: Any) -> DataDeclaration:
        resolutions = ("raw", "binned:eur-6", "binned:eur-3")
        declared = DataDeclaration(
            party("hacienda"), "income", 1, PERSON_ID, ("personal_administrative_number",), self.hpke.public,
            {INCOME: DeclaredAttribute(CATEGORY, resolutions, (PURPOSE,)),
             HOUSEHOLD: DeclaredAttribute(LIVING, ("raw",), (PURPOSE,))},
        )  # fmt: skip
        return replace(declared, **changes)

    def purpose_declaration(self, **changes: Any) -> PurposeDeclaration:
        declared = PurposeDeclaration(
            party("social-services"), "rent-subsidy", 1, "rent-subsidy", PURPOSE, (INCOME, HOUSEHOLD),
            (party("hacienda"),), "consent", 90 * DAY, {"en": "For the rent subsidy.", "ca": "Per a l’ajut."}, False,
        )  # fmt: skip
        return replace(declared, **changes)

    def signed(self, declaration: Declaration) -> str:
        return sign_declaration(declaration, self.city.keys[declaration.iss.rpartition(":")[2]])

    def declare(self, *declarations: Declaration) -> None:
        for declaration in declarations:
            self._post("/declarations", self.signed(declaration))

    def detail(self, **changes: Any) -> AuthorizationDetail:
        now = int(self.city.now)
        detail = AuthorizationDetail(
            holder=party("hacienda"), identifier="rent-subsidy@1", procedure="rent-subsidy", purpose=PURPOSE,
            datatypes=(INCOME, HOUSEHOLD),
            terms={INCOME: Term("binned:eur-6", False), HOUSEHOLD: Term("raw", True)},
            level="readable", mode="view", fetch="periodic", frequency=Frequency(5, DAY), max_uses=10,
            not_before=now - 60, not_after=now + 90 * DAY, data_life_seconds=30 * DAY, on_change="ask",
        )  # fmt: skip
        return replace(detail, **changes)

    def request(self, detail: AuthorizationDetail | None = None, **changes: Any) -> str:
        """The signed request."""
        now = int(self.city.now)
        jti = base64url.encode(secrets.token_bytes(16))
        asked = ConsentRequest(
            party("social-services"), party("consent"), jti, now, now + 600, None, detail or self.detail()
        )
        asked = replace(asked, **changes)
        return sign_request(asked, self.city.keys["social-services"])

    def ask(self, detail: AuthorizationDetail | None = None) -> str:
        """The link that a service shows."""
        return str(self._post("/requests", self.request(detail))["link"])

    def slip(self, compact: str) -> str:
        """The link to a request that the consent service would not take, served all the same."""
        address = f"{CONSENT}/requests/AAAAAAAAAAAAAAAAAAAAAA/jwt"
        self.city.answer("GET", address, lambda _: httpx.Response(200, text=compact))
        return f"atorga-consent://?request_uri={address}"

    def _post(self, path: str, compact: str) -> dict[str, Any]:
        answer = self.forward(
            httpx.Request("POST", CONSENT + path, content=compact, headers={"Content-Type": "application/jwt"})
        )
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    # ── access that rests on law ─────────────────────────────────────────────────────────────

    def bases(self) -> VerifiedBases:
        """As the registry signs them now."""
        signing, now = self.city.pki.registry_signer(), int(self.city.now)
        claims = {
            "iss": party("registry"), "version": 1, "iat": now - 10, "exp": now + DAY,
            "bases": [one.to_json() for one in self.approved],
        }  # fmt: skip
        compact = sign_bases(claims, signing.signer(), signing.chain())
        return verify_bases(compact, anchors=[self.city.pki.root("registry").chain()[0]], now=now)

    def approve(self, **changes: Any) -> Basis:
        """A basis that lets social services audit, and its declaration."""
        declared = self.purpose_declaration(
            id="tax-audit", procedure="tax-audit", legal_basis="legal-obligation", datatypes=(INCOME,)
        )
        compact = self.signed(declared)
        self._post("/declarations", compact)
        basis = Basis(
            "tax-audit@1", jws.digest(compact), declared.iss, frozenset(declared.holders),
            {"en": "Tax Act, article 93", "ca": "Llei tributària, article 93"}, "the data protection officer",
            False, True, int(self.city.now) - DAY, int(self.city.now) + 30 * DAY,
        )  # fmt: skip
        self.approved.append(replace(basis, **changes))
        return self.approved[-1]

    def access_by_law(self, mailboxes: Sequence[str]) -> bool:
        """Whether the consent service lets it pass; the data holder releases."""
        now, request_id = int(self.city.now), base64url.encode(secrets.token_bytes(16))
        service, holder = party("social-services"), party("hacienda")
        request = BasisRequest(
            service, holder, request_id, now, now + 60, "tax-audit@1", "tax-audit", PURPOSE, (INCOME,),
            seal_subject(self.hpke.public, service=service, request_id=request_id, subject={"x": "y"}), False, None,
            AgreementPrivateKey.generate().public,
        )  # fmt: skip
        signed = sign_basis_request(request, self.city.keys["social-services"])
        body = {"basis_request": signed, "mailboxes": list(mailboxes)}
        decided = self.office.duties.noticing.notify(self.city.registry().party(holder, now=now), body)
        if decided.allowed:
            notice_id = str(jws.parse(decided.answer).claims()["notice_id"])
            self.release(notice_id, 0)
        return decided.allowed

    # ── a use, and its release ───────────────────────────────────────────────────────────────

    def use(self, grant_id: str, *attributes: str, release: bool = True) -> bool:
        """Whether the service may read; the data holder writes its release down."""
        now, asked = int(self.city.now), attributes or (INCOME,)
        request = UseRequest(
            party("social-services"), party("hacienda"), base64url.encode(secrets.token_bytes(16)), now, now + 60,
            grant_id, PURPOSE, "rent-subsidy", asked, None, AgreementPrivateKey.generate().public,
        )  # fmt: skip
        signed = sign_use_request(request, self.city.keys["social-services"])
        holder = self.city.registry().party(party("hacienda"), now=now)
        deciding = self.office.deciding

        async def decide() -> bool:
            return (await deciding.decide(holder, signed, listed=await deciding.listed())).allowed

        allowed = asyncio.run(decide())
        if allowed:
            self.release(grant_id, self.counter(grant_id), asked if release else ())
        return allowed

    def counter(self, grant_id: str) -> int:
        """Of the grant's newest event."""
        found = GrantStore(self.engine).get(base64url.decode(grant_id))
        assert found is not None
        return found[0].counter

    def release(self, grant_id: str, counter: int, attributes: tuple[str, ...] = (INCOME,)) -> None:
        self.releases.append(
            {
                "use_id": base64url.encode(secrets.token_bytes(16)),
                "grant_id": grant_id,
                "counter": counter,
                "time": int(self.city.now),
                "service": party("social-services"),
                "attributes": list(attributes),
            }
        )

    # ── the data holder ──────────────────────────────────────────────────────────────────────

    def _link(self, request: httpx.Request) -> httpx.Response:
        asked = open_link(self.hpke, body(request), holder=party("hacienda"))
        presented = verify(
            asked.vp_token,
            issuer_key=self._issuers().issuer_key,
            audience=party("hacienda"),
            nonce=asked.nonce(party("hacienda")),
            now=int(self.city.now),
        )
        thumbprint = asked.link_key.thumbprint
        status = 200 if thumbprint in self.links else 201
        self.links[thumbprint] = presented.claims
        self.link_key = asked.link_key
        return httpx.Response(status, json={"link": base64url.encode(thumbprint.encode()[:16])})

    def _journal(self, request: httpx.Request) -> httpx.Response:
        try:
            verify_proof(
                request.headers.get("Request-Proof"),
                method="GET",
                url=f"{HOLDER}/journal",
                body=b"",
                now=int(self.city.now),
                accepts_nonce=lambda nonce: self.nonces.accepts(nonce, int(self.city.now)),
                spend=lambda _, __: True,
                key_for=lambda kid: self.link_key if kid == self.link_key.thumbprint else None,
            )
        except ConsentError as fault:
            code = "use_proof_nonce" if "nonce" in str(fault) else "invalid_proof"
            return httpx.Response(
                401, json={"error": code}, headers={"Proof-Nonce": self.nonces.fresh(int(self.city.now))}
            )
        hashes = [merkle.leaf_hash(jcs.canonicalize(one)) for one in self.releases]
        root = merkle.root(
            len(hashes),
            lambda level, index: merkle.complete_root(hashes[index << level : (index + 1) << level]),
        )
        return httpx.Response(200, json={"releases": self.releases, "root": base64url.encode(root)})

    def _door(self, door: str, request: httpx.Request) -> httpx.Response:
        compact = request.content.decode()
        message = verify_withdrawal(compact)
        self.withdrawals[door].append(compact)
        if GrantStore(self.engine).row(base64url.decode(message.grant_id)) is None:
            return httpx.Response(202, json={"state": "noted"})
        return httpx.Response(200, json={"state": "withdrawn", "effective_at": int(self.city.now)})


def down(_: httpx.Request) -> httpx.Response:
    return problem(503, "temporarily_unavailable")
