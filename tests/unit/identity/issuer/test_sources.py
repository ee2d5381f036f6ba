"""Credential types as data, registers as configuration, and what goes into a credential from either."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from identity.errors import CredentialError, EncodingError, KeyUnavailable, ProtocolError, SourceUnavailable
from identity.issuer import sealing
from identity.issuer.claims import age_at
from identity.issuer.credential_type import LANGUAGES, bundled, read
from identity.issuer.person import Person, Subject
from identity.issuer.register import Register, nested, open_register
from identity.keys.keyed_hash import KeyedHashClient
from tests.issuer_city import City

TYPES = Path(__file__).parents[4] / "identity" / "issuer" / "types"
GOOD = (TYPES / "residency.toml").read_text()


@pytest.mark.parametrize("claims", ["[]", "7", "[7]", "['municipality']"])
def test_claims_that_are_no_tables(claims: str) -> None:
    head = GOOD[: GOOD.index("[formats")]
    rest = GOOD[GOOD.index("[formats") : GOOD.index("[[claims]]")]
    with pytest.raises(CredentialError, match="list of tables"):
        read(f"{head}claims = {claims}\n{rest}", "residency")


def test_dates_of_a_register_become_texts() -> None:
    row = {"a": date(2026, 11, 25), "b.c": datetime(2026, 11, 25, 9, 30, tzinfo=UTC), "d": None}
    assert nested(row) == {"a": "2026-11-25", "b": {"c": "2026-11-25"}}


def test_bundled_types() -> None:
    types = bundled(["person-id", "residency", "pairwise"])
    assert {kind.vct for kind in types.values()} == {
        "urn:atorga:person-id:1", "urn:atorga:residency:1", "urn:atorga:pairwise:1",
    }  # fmt: skip
    assert {kind.configuration for kind in types.values()} == {
        "person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt",
    }  # fmt: skip
    assert types["person-id"].lifetime_seconds == types["pairwise"].lifetime_seconds == 86_400
    assert not types["person-id"].has_status and not types["pairwise"].has_status
    assert types["residency"].has_status and types["residency"].lifetime_seconds == 7 * 86_400
    for kind in types.values():
        assert set(kind.names) == set(LANGUAGES)
        assert all(set(claim.names) == set(LANGUAGES) for claim in kind.claims)


def test_every_file_is_a_type() -> None:
    assert bundled([path.stem for path in TYPES.glob("*.toml")])
    for name in ("unknown", "../types/residency", "Person", ""):
        with pytest.raises(CredentialError):
            bundled([name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vct =", "vct"),
        ('vct = "urn:atorga:residency:1"', ""),
        ('source = "register"', 'source = "rumour"'),
        ('source = "register"', 'source = "person"'),
        ('register = "padron"', ""),
        ('assurance = "substantial"', 'assurance = "some"'),
        ("lifetime_seconds = 604_800", "lifetime_seconds = 604_801"),
        ("lifetime_seconds = 604_800", "lifetime_seconds = 100_000"),
        ("rounding_seconds = 86_400", "rounding_seconds = 60"),
        ("status = true", 'status = "yes"'),
        ("status = true", "status = true\nextra = 1"),
        ('[formats."dc+sd-jwt"]', '[formats."vc+sd-jwt"]'),
        ('scope = "residency-sd-jwt"', ""),
        ('gl = "Empadroamento"', ""),
        ('gl = "Empadroamento"', 'gl = "Empadroamento"\nfr = "Résidence"'),
        ('path = ["municipality"]', "path = []"),
        ('path = ["municipality"]', 'path = ["municipality"]\nrequired = "yes"'),
    ],
)
def test_types_that_are_refused(old: str, new: str) -> None:
    assert old in GOOD
    with pytest.raises(CredentialError, match="residency"):
        read(GOOD.replace(old, new, 1), "residency")


def register(engine: Engine, **queries: Any) -> Register:
    return Register(engine, **{"person_query": None, "claims_query": None, "assurance": "low", **queries})


def test_register(city: City) -> None:
    found = city.hall.sources.registers["padron"]
    person = found.person("2")
    assert person == Person("00000002W", "Iker", "Etxeberria Ruiz", date(2012, 11, 26), "substantial")
    assert found.person("77") is None and found.person("1 OR 1=1") is None
    claims = found.claims("00000002W")
    assert claims == {
        "municipality": "Barcelona", "district": "Les Corts", "neighbourhood": "Pedralbes",
        "resident_since": "2012-12-01",
    }  # fmt: skip
    assert found.claims("' OR '1'='1") is None


def test_columns_become_nested_claims(city: City) -> None:
    query = "SELECT 1 AS 'a.b', 'x' AS 'a.c', NULL AS d, 2 AS e WHERE :id_number IS NOT NULL"
    assert register(city.register, claims_query=query).claims("x") == {"a": {"b": 1, "c": "x"}, "e": 2}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT nif AS id_number, given_name, family_name FROM resident WHERE row_id = :subject",
        "SELECT nif AS id_number, given_name, family_name, 'soon' AS birthdate FROM resident WHERE row_id = :subject",
        "SELECT nif AS id_number, given_name, family_name, birthdate FROM resident WHERE :subject = '1'",
    ],
)
def test_persons_that_cannot_be_read(city: City, query: str) -> None:
    with pytest.raises(CredentialError):
        register(city.register, person_query=query).person("1")


def test_registers_that_cannot_be_asked(city: City, tmp_path: Path) -> None:
    nothing = register(city.register)
    for ask in (nothing.person, nothing.claims):
        with pytest.raises(CredentialError, match="no query"):
            ask("1")
    with pytest.raises(CredentialError, match="more than one"):
        register(city.register, claims_query="SELECT nif FROM resident WHERE :id_number = 'x'").claims("x")
    with pytest.raises(CredentialError, match="type"):
        register(city.register, claims_query="SELECT 1.5 AS a WHERE :id_number = 'x'").claims("x")
    gone = register(
        open_register(f"sqlite:///{tmp_path / 'none.sqlite'}"), claims_query="SELECT 1 FROM x WHERE :id_number"
    )
    with pytest.raises(SourceUnavailable) as caught:
        gone.claims("00000001R")
    assert "00000001R" not in str(caught.value)


def test_registers_are_only_read(city: City) -> None:
    with pytest.raises(SourceUnavailable):
        register(city.register, claims_query="DELETE FROM resident WHERE nif = :id_number RETURNING nif").claims(
            "00000001R"
        )
    assert city.hall.sources.registers["padron"].person("1") is not None


def test_silent_register_and_silent_keys_are_503(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = register(open_register(f"sqlite:///{tmp_path / 'none.sqlite'}"), person_query="SELECT :subject FROM x")
    silent = KeyedHashClient(tmp_path / "none.sock")
    for sources, configuration in (
        (replace(city.hall.sources, registers={"padron": dead}), "person-id-sd-jwt"),
        (replace(city.hall.sources, keyed_hash=silent), "pairwise-sd-jwt"),
        (replace(city.hall.sources, keyed_hash=silent), "person-id-sd-jwt"),
    ):
        token = city.token(configuration)
        with monkeypatch.context() as patched:
            patched.setattr(city.hall.issuing, "_sources", sources)
            answer = city.batch(token, configuration)
        assert answer.status_code == 503 and answer.json()["error"] == "temporarily_unavailable"
        assert answer.headers["retry-after"] == "5"
        assert city.batch(token, configuration).status_code == 200, "nothing was decided"


def test_content(city: City) -> None:
    sources, types = city.hall.sources, city.hall.tenant.types
    person = sources.person(Subject(None, "1"))
    with pytest.raises(ProtocolError, match="no such row"):
        sources.person(Subject(None, "77"))
    stranger = Person("99999999R", "Zoe", "Lejana", None, "high")
    with pytest.raises(ProtocolError, match="not in the register"):
        sources.content(types["residency-sd-jwt"], stranger, 0)
    low = Person(person.id_number, person.given_name, person.family_name, person.birthdate, "low")
    for name in types:
        with pytest.raises(ProtocolError, match="assurance"):
            sources.content(types[name], low, 0)
        with pytest.raises(ProtocolError, match="assurance"):
            sources.require_available(types[name], low)
    with pytest.raises(ProtocolError, match="dataset"):
        sources.content(types["pairwise-sd-jwt"], person, 1)
    nameless = Person("1", "", "", None, "high")
    assert "given_name" in sources.content(types["person-id-sd-jwt"], nameless, 0).claims


def test_a_claim_that_the_type_demands_and_the_register_lacks(city: City) -> None:
    lacking = register(city.register, claims_query="SELECT district FROM resident WHERE nif = :id_number")
    sources = replace(city.hall.sources, registers={"padron": lacking})
    person = city.hall.sources.person(Subject(None, "1"))
    with pytest.raises(ProtocolError, match="municipality is not known"):
        sources.content(city.hall.tenant.types["residency-sd-jwt"], person, 0)


def test_columns_that_no_claim_names_stay_in_the_register(city: City) -> None:
    query = "SELECT 'B' AS municipality, * FROM resident WHERE nif = :id_number"
    sources = replace(city.hall.sources, registers={"padron": register(city.register, claims_query=query)})
    person = city.hall.sources.person(Subject(None, "1"))
    content = sources.content(city.hall.tenant.types["residency-sd-jwt"], person, 0)
    assert content.claims.keys() == {"municipality", "district", "neighbourhood", "resident_since"}
    assert repr(content) == "Content(4 claims)"


@pytest.mark.parametrize(
    ("birthdate", "today", "age"),
    [
        (date(2008, 11, 25), date(2026, 11, 25), 18),
        (date(2008, 11, 26), date(2026, 11, 25), 17),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(1900, 1, 1), date(2026, 11, 25), 126),
    ],
)
def test_ages(birthdate: date, today: date, age: int) -> None:
    assert age_at(birthdate, today) == age


def test_sealing() -> None:
    secret = sealing.fresh(bytes)
    sealed = sealing.seal(secret, b"who", bytes)
    assert sealing.unseal(secret, sealed) == b"who" and b"who" not in sealed
    for wrong, broken in ((secret[:-1] + "B", sealed), (secret, sealed[:-1]), (secret, b""), (secret, bytes(40))):
        with pytest.raises(EncodingError):
            sealing.unseal(wrong, broken)
    assert sealing.name(secret) != sealing.name(secret[:-1] + "B") and len(sealing.name("à")) == 32


def test_key_is_silent(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable):
        KeyedHashClient(tmp_path / "none").hashes("x", [b"x"])


def test_subjects_are_one_or_the_other() -> None:
    with pytest.raises(ValueError, match="either"):
        Subject(None)
    with pytest.raises(ValueError, match="either"):
        Subject(Person("1", "a", "b", None, "low"), "1")
    with pytest.raises(ValueError, match="assurance"):
        Person("1", "a", "b", None, "some")
