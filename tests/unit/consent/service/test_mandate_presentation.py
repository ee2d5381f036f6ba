"""A mandate from the issuer's register to the consent service: real credentials, asked for and checked by DCQL."""

import secrets
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from consent.grant.mandate import read_mandate
from consent.service.mandate_presentation import MandatePresentation
from consent.service.operator import Operator
from identity.errors import CredentialError, CredentialRevoked, IdentityError, ProtocolError
from identity.formats.sd_jwt_vc import issue, present
from identity.issuer.claims import Content, Sources
from identity.issuer.credential_type import CredentialType, bundled
from identity.issuer.person import Person
from identity.issuer.register import Register, open_register
from identity.keys.keyed_hash import InProcessKeyedHash
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, DAY, NOW, PURPOSE, URL

TYPES = bundled(["mandate", "pairwise"])
MANDATE, PAIRWISE = TYPES["mandate"], TYPES["pairwise"]
HELPER = Person("12345678Z", "Ada", "Helper", date(1980, 1, 1), "substantial")
REPRESENTED = Person("87654321X", "Bea", "Represented", date(2015, 1, 1), "substantial")
ORGANISATIONS = [CONSENT, "urn:atorga:party:library"]
STATUS = "https://bcn.example/status/1"
ISSUER = "https://bcn.example"
QUERY = "SELECT role, verbs, purposes, until, represented FROM mandate WHERE helper = :id_number"


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    url = f"sqlite:///{tmp_path / 'mandates.sqlite'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mandate (helper, role, verbs, purposes, until, represented)"))
        rows = (
            (HELPER.id_number, "guardian", "read withdraw grant", PURPOSE, NOW + 90 * DAY, REPRESENTED.id_number),
            ("self", "guardian", "read", "*", NOW + DAY, "self"),
            ("none", "guardian", "read", "*", NOW + DAY, None),
        )
        for row in rows:
            values = dict(zip("abcdef", row, strict=True))
            connection.execute(text("INSERT INTO mandate VALUES (:a, :b, :c, :d, :e, :f)"), values)
    register = Register(open_register(url), person_query=None, claims_query=QUERY, assurance="substantial")
    return Sources(
        registers={"mandates": register}, row_register=None,
        keyed_hash=InProcessKeyedHash({"bcn/pairwise": bytes(32)}), scope="bcn",
        organisations=lambda: ORGANISATIONS, clock=lambda: float(NOW),
    )  # fmt: skip


class Desk:
    def __init__(self) -> None:
        self.signer, self.holder, self.access = (SoftwareSigner.generate() for _ in range(3))
        self.revoked = False
        operator = Operator(CONSENT, URL, self.access, lambda: float(NOW), secrets.token_bytes)
        self.presentation = MandatePresentation(operator, self.access, (b"certificate",), self.key, self.status)

    def key(self, header: Any, iss: str, vct: str) -> PublicKey:
        return self.signer.public_key

    def status(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        if self.revoked:
            raise CredentialRevoked("status: revoked")

    def presented(
        self, content: Content, kind: CredentialType, disclose: list[tuple[Any, ...]] | None = None, **changes: Any
    ) -> dict[str, Any]:
        named: dict[str, Any] = {
            "claims": content.claims, "disclosable": content.disclosable, "vct": kind.vct, "issuer": ISSUER,
            "signer": self.signer, "holder_key": self.holder.public_key, "iat": NOW - 60, "exp": NOW + DAY,
            "random": secrets.token_bytes, "status": {"status_list": {"idx": 3, "uri": STATUS}},
        }  # fmt: skip
        sd_jwt = issue.issue(**named | changes)
        shown = present.present(
            sd_jwt, disclose=DISCLOSED if disclose is None else disclose, audience=self.presentation.client_id,
            nonce="n", now=NOW, holder=self.holder,
        )  # fmt: skip
        return {"mandate": [shown]}


DISCLOSED: list[tuple[Any, ...]] = [("role",), ("verbs",), ("purposes",), ("until",), ("ids", CONSENT)]


def test_from_the_register_to_the_consent_service(sources: Sources) -> None:
    content = sources.content(MANDATE, HELPER, 0)
    assert REPRESENTED.id_number not in str(content.claims), "the number goes no further"
    assert sorted(path for path in content.disclosable if path[0] == "ids") == [("ids", one) for one in ORGANISATIONS]
    desk = Desk()
    found = desk.presentation.check(desk.presented(content, MANDATE), "n")
    own = sources.content(PAIRWISE, REPRESENTED, 0).claims["ids"][CONSENT]
    assert found.represented == own, "the same identifier as in the represented person's own wallet"
    assert found.status == (STATUS, 3)
    mandate = read_mandate(found.claims, now=NOW)
    assert (mandate.role, mandate.verbs, mandate.purposes) == ("guardian", ("read", "withdraw", "grant"), (PURPOSE,))


@pytest.mark.parametrize("number", ["self", "none", "stranger"])
def test_the_register_names_nobody_else(sources: Sources, number: str) -> None:
    with pytest.raises(ProtocolError):
        sources.content(MANDATE, Person(number, "A", "B", None, "substantial"), 0)


def test_identifiers_come_in_shards(sources: Sources) -> None:
    assert sources.datasets(MANDATE) == 1
    with pytest.raises(ProtocolError, match="no such dataset"):
        sources.content(MANDATE, HELPER, 1)


@pytest.mark.parametrize("missing", range(len(DISCLOSED)))
def test_every_claim_is_needed(sources: Sources, missing: int) -> None:
    desk = Desk()
    disclosed = [path for at, path in enumerate(DISCLOSED) if at != missing]
    with pytest.raises(IdentityError):
        desk.presentation.check(desk.presented(sources.content(MANDATE, HELPER, 0), MANDATE, disclosed), "n")


def test_another_type_is_no_mandate(sources: Sources) -> None:
    desk = Desk()
    with pytest.raises(IdentityError):
        desk.presentation.check(desk.presented(sources.content(MANDATE, HELPER, 0), PAIRWISE), "n")


def test_one_that_could_never_be_revoked(sources: Sources) -> None:
    desk = Desk()
    with pytest.raises(CredentialError, match="never be revoked"):
        desk.presentation.check(desk.presented(sources.content(MANDATE, HELPER, 0), MANDATE, status=None), "n")


@pytest.mark.parametrize("how", ["revoked", "nonce", "expired"])
def test_what_does_not_hold(sources: Sources, how: str) -> None:
    desk = Desk()
    desk.revoked = how == "revoked"
    changes: dict[str, Any] = {"exp": NOW - DAY, "iat": NOW - 2 * DAY} if how == "expired" else {}
    token = desk.presented(sources.content(MANDATE, HELPER, 0), MANDATE, **changes)
    with pytest.raises(IdentityError):
        desk.presentation.check(token, "another" if how == "nonce" else "n")


def test_an_accreditation_is_a_type_of_its_register() -> None:
    kind = bundled(["accreditation"])["accreditation"]
    assert (kind.vct, kind.register, kind.has_status) == ("urn:atorga:accreditation:1", "accreditations", True)
    assert [claim.path for claim in kind.claims if not claim.disclosable] == [("organisation",)]
