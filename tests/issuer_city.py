"""A town hall in one process, for tests: a small register, a card that is a dictionary, a clock that stands still."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from identity.card.verify import VerifiedCard
from identity.codec import base64url
from identity.envelope import jws
from identity.errors import CardError
from identity.formats.sd_jwt_vc import parse as sd_jwt_vc
from identity.issuer.app import make_app
from identity.issuer.claims import Sources
from identity.issuer.credential_type import bundled
from identity.issuer.person import Subject
from identity.issuer.register import Register, open_register
from identity.issuer.store.schema import open_engine, upgrade
from identity.issuer.tenant import SigningKey, Tenant
from identity.issuer.town_hall import TownHall, open_town_hall
from identity.keys.keyed_hash import InProcessKeyedHash
from identity.keys.signer import SoftwareSigner
from identity.openid4vci.redirect import RedirectPolicy
from identity.openid4vci.spec import PRE_AUTHORIZED

BASE = "http://localhost:8100"
ISSUER = f"{BASE}/bcn"
NOW = 1_795_315_110
CLIENT = "a-wallet"
REDIRECT = "http://127.0.0.1:7777/callback"
VERIFIER = "v" * 43
CHALLENGE = base64url.encode(sha256(VERIFIER.encode()).digest())
ORGANISATIONS = tuple(f"urn:atorga:party:{name}" for name in ("consent", "hacienda", "portal", "social-services"))

RESIDENTS = (
    (1, "00000001R", "Mireia", "Puig Soler", "1990-02-28", "Gràcia", "la Salut", "2011-05-01"),
    (2, "00000002W", "Iker", "Etxeberria Ruiz", "2012-11-26", "Les Corts", "Pedralbes", "2012-12-01"),
)
STRANGER = {"id_number": "99999999R", "given_name": "Zoe", "family_name": "Lejana", "birthdate": "1950-01-01"}


def card_of(resident: tuple[Any, ...]) -> dict[str, str]:
    return {
        "id_number": resident[1], "given_name": resident[2], "family_name": resident[3], "birthdate": resident[4],
    }  # fmt: skip


def check_card(token: Mapping[str, Any], origin: str, nonce: str) -> VerifiedCard:
    """A card that says who it is, for which origin and nonce; the real check has tests of its own."""
    if token.get("origin") != origin or token.get("nonce") != nonce:
        raise CardError("card token: the signature is not by this key over this origin and challenge")
    return VerifiedCard(
        profile="test",
        assurance_level=token.get("assurance", "high"),
        sandbox=True,
        id_number=token["id_number"],
        given_name=token["given_name"],
        family_name=token["family_name"],
        birthdate=date.fromisoformat(token["birthdate"]) if "birthdate" in token else None,
    )


@dataclass
class City:
    client: TestClient
    hall: TownHall
    engine: Engine
    register: Engine
    credential_key: SoftwareSigner
    status_key: SoftwareSigner
    organisations: list[str]
    now: list[float]
    database: Path

    def post_form(self, path: str, fields: Mapping[str, str], **headers: str) -> Any:
        return self.client.post(f"{ISSUER}/{path}", data=dict(fields), headers=headers)

    def c_nonce(self) -> str:
        return str(self.client.post(f"{ISSUER}/nonce").json()["c_nonce"])

    def offer(self, *configurations: str, tx_code: bool = False, row: str = "1") -> tuple[str, str | None]:
        """The pre-authorized code and the transaction code."""
        made = self.hall.offers.pre_authorized(
            configurations, Subject(None, row), with_tx_code=tx_code, by_reference=False
        )
        offer = json.loads(parse_qs(urlsplit(made.link).query)["credential_offer"][0])
        return str(offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]), made.tx_code

    def redeem(self, code: str, **fields: str) -> Any:
        return self.post_form("token", {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, **fields})

    def token(self, *configurations: str, row: str = "1") -> str:
        return str(self.redeem(self.offer(*configurations, row=row)[0]).json()["access_token"])

    def proof(self, signer: SoftwareSigner, nonce: str, **changes: Any) -> str:
        claims = {"aud": ISSUER, "iat": int(self.now[0]), "nonce": nonce} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jws.sign(claims, signer, typ="openid4vci-proof+jwt", header={"jwk": signer.public_key.jwk()})

    def ask(self, token: str, body: Any, *, scheme: str = "Bearer", **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(
            f"{ISSUER}/credential",
            content=content,
            headers={"Authorization": f"{scheme} {token}", "Content-Type": "application/json", **headers},
        )

    def batch(self, token: str, configuration: str, count: int = 3) -> Any:
        nonce = self.c_nonce()
        proofs = [self.proof(SoftwareSigner.generate(), nonce) for _ in range(count)]
        return self.ask(token, {"credential_configuration_id": configuration, "proofs": {"jwt": proofs}})

    def issued(self, configuration: str, count: int = 3, row: str = "1") -> list[sd_jwt_vc.UnverifiedSdJwtVc]:
        answer = self.batch(self.token(configuration, row=row), configuration, count)
        assert answer.status_code == 200, answer.text
        return [sd_jwt_vc.peek(one["credential"]) for one in answer.json()["credentials"]]


@dataclass
class Wallet:
    """Another wallet: PKCE, and DPoP if it has a key."""

    city: City
    key: SoftwareSigner | None = None
    nonce: str | None = None
    jti: int = 0
    seen: list[str] = field(default_factory=list)

    def dpop(self, path: str, *, token: str | None = None, **changes: Any) -> dict[str, str]:
        assert self.key is not None
        self.jti += 1
        claims: dict[str, Any] = {"jti": f"jti-{self.jti}", "htm": "POST", "htu": f"{ISSUER}/{path}",
                                  "iat": int(self.city.now[0])}  # fmt: skip
        if token is not None:
            claims["ath"] = base64url.encode(sha256(token.encode()).digest())
        if self.nonce is not None:
            claims["nonce"] = self.nonce
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return {"DPoP": jws.sign(claims, self.key, typ="dpop+jwt", header={"jwk": self.key.public_key.jwk()})}

    def post(self, path: str, fields: Mapping[str, str]) -> Any:
        headers = {} if self.key is None else self.dpop(path)
        answer = self.city.post_form(path, fields, **headers)
        if self.key is not None and answer.json().get("error") == "use_dpop_nonce":
            self.nonce = answer.headers["dpop-nonce"]
            answer = self.city.post_form(path, fields, **self.dpop(path))
        return answer

    def push(self, **changes: str | None) -> Any:
        fields: dict[str, str | None] = {
            "client_id": CLIENT, "response_type": "code", "redirect_uri": REDIRECT, "state": "a-state",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256", "scope": "person-id-sd-jwt residency-sd-jwt",
        }  # fmt: skip
        if self.key is not None:
            fields["dpop_jkt"] = self.key.public_key.thumbprint
        merged = fields | changes
        return self.post("par", {name: value for name, value in merged.items() if value is not None})

    def address(self, **changes: str | None) -> str:
        pushed = self.push(**changes)
        assert pushed.status_code == 201, pushed.text
        return f"{ISSUER}/authorize?client_id={CLIENT}&request_uri={pushed.json()['request_uri']}"

    def code(self, card: Mapping[str, str] = card_of(RESIDENTS[0]), **changes: str | None) -> str:
        where = login(self.city, self.address(**changes), card)
        assert where.status_code == 200, where.text
        return str(parse_qs(urlsplit(where.json()["redirect_to"]).query)["code"][0])

    def exchange(self, code: str, **changes: str | None) -> Any:
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "client_id": CLIENT,
            "redirect_uri": REDIRECT,
        }  # fmt: skip
        merged = fields | changes
        return self.post("token", {name: value for name, value in merged.items() if value is not None})

    def refresh(self, token: str, **fields: str) -> Any:
        return self.post("token", {"grant_type": "refresh_token", "refresh_token": token, **fields})


def open_session(city: City, address: str) -> dict[str, str]:
    city.client.cookies.clear()
    answer = city.client.get(address, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def challenge(city: City, session: Mapping[str, str]) -> Any:
    return city.client.post(session["challenge"], json={"session": session["session"]})


def login(city: City, address: str, card: Mapping[str, str], **token: str) -> Any:
    session = open_session(city, address)
    given = challenge(city, session)
    assert given.status_code == 200, given.text
    signed = {**card, "origin": BASE, "nonce": given.json()["nonce"], **token}
    return city.client.post(session["login"], json={"session": session["session"], "token": signed})


def empty_database(path: Path) -> bytes:
    """A database at the newest schema; migrating one for each test would take longer than the tests."""
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    engine.dispose()
    return path.read_bytes()


def make_register(path: Path) -> Engine:
    writer = open_engine(f"sqlite:///{path}")
    with writer.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE resident (row_id INTEGER PRIMARY KEY, nif TEXT UNIQUE, given_name TEXT, family_name TEXT,"
                " birthdate TEXT, district TEXT, neighbourhood TEXT, resident_since TEXT)"
            )
        )
        for resident in RESIDENTS:
            connection.execute(
                text("INSERT INTO resident VALUES (:a,:b,:c,:d,:e,:f,:g,:h)"),
                dict(zip("abcdefgh", resident, strict=True)),
            )
    writer.dispose()
    return open_register(f"sqlite:///{path}")


@contextmanager
def open_city(
    folder: Path,
    *,
    empty_database: bytes,
    deferred: frozenset[str] = frozenset(),
    policy: RedirectPolicy = RedirectPolicy.HTTPS_OR_LOOPBACK,
) -> Iterator[City]:
    register = make_register(folder / "padron.sqlite")
    now = [float(NOW)]
    organisations = list(ORGANISATIONS)
    database = folder / "bcn.sqlite"
    database.write_bytes(empty_database)
    engine = open_engine(f"sqlite:///{database}")
    credential_key, status_key = SoftwareSigner.generate(), SoftwareSigner.generate()
    counter = [0]

    def random(size: int) -> bytes:
        counter[0] += 1
        return b"".join(sha256(f"{counter[0]}/{at}".encode()).digest() for at in range(0, size, 32))[:size]

    types = bundled(["person-id", "residency", "pairwise"])
    tenant = Tenant(
        name="bcn",
        issuer=ISSUER,
        names={"es": "Ayuntamiento", "ca": "Ajuntament", "en": "City Council"},
        types={kind.configuration: kind for kind in types.values()},
        credential_key=SigningKey(credential_key, (b"not a certificate",)),
        status_key=SigningKey(status_key, (b"not one either",)),
        redirect_policy=policy,
        deferred=deferred,
        status_list_size=1_024,
        status_ttl_seconds=60,
        refresh_seconds=90 * 86_400,
    )
    sources = Sources(
        registers={
            "padron": Register(
                register,
                person_query="SELECT nif AS id_number, given_name, family_name, birthdate FROM resident "
                "WHERE row_id = :subject",
                claims_query="SELECT 'Barcelona' AS municipality, district, neighbourhood, resident_since "
                "FROM resident WHERE nif = :id_number",
                assurance="substantial",
            )
        },
        row_register="padron",
        keyed_hash=InProcessKeyedHash({"bcn/pairwise": bytes(32), "bcn/subject": bytes(range(32))}),
        scope="bcn",
        organisations=lambda: organisations,
        clock=lambda: now[0],
    )
    hall = open_town_hall(
        tenant, engine, sources, check_card, nonce_secret=bytes(32), clock=lambda: now[0], random=random
    )
    client = TestClient(make_app({"bcn": hall}), base_url=BASE, follow_redirects=False)
    yield City(client, hall, engine, register, credential_key, status_key, organisations, now, database)
    client.close()
    engine.dispose()
    register.dispose()
