"""Configuration of the consent service: what is missing, contradicts itself or is unknown is said with a sentence."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, make_url

from atorga.serve import consent, settings
from atorga.serve.settings import ConfigurationError, Profile
from atorga.town import toml_text
from atorga.town.pki import ISSUERS, REGISTRY, TownPki
from consent.ledger.groups import Group
from consent.ledger.schema import open_engine
from consent.log import note
from consent.log.note import COSIGNATURE_V1, NoteKey
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner

KEY = NoteKey("witness.example", COSIGNATURE_V1, bytes(31) + b"\1").format()

TABLES: dict[str, dict[str, Any]] = {
    "service": {"url": "http://localhost:8101", "port": 8101, "data": "consent"},
    "registry": {"url": "http://localhost:8100/registry", "anchors": "registry.pem"},
    "consent": {
        "party": "urn:atorga:party:consent", "key": "consent.pem", "log_seed": "log-seed", "period": "2026",
        "keyed_hash": "hashes.sock",
    },
    "client": {"key": "access.key.pem", "certificates": "access.pem"},
    "trust": {"issuer_anchors": "issuers.pem"},
    "witnesses": {"keys": [KEY], "urls": ["http://localhost:8106"], "threshold": 1},
}  # fmt: skip

Change = Callable[[dict[str, dict[str, Any]]], Any]


def load(folder: Path, change: Change = lambda _: None, *, profile: Profile = "sandbox") -> consent.ConsentSettings:
    tables = {name: dict(values) for name, values in TABLES.items()}
    change(tables)
    path = folder / "consent.toml"
    path.write_text(toml_text.format(tables))
    head, rest = settings.load(path, profile=profile)
    made = consent.settings(head, rest)
    rest.done()
    return made


def test_what_a_configuration_says(tmp_path: Path) -> None:
    made = load(tmp_path)
    assert made.log_origin == "localhost:8101/log/2026"
    assert made.openings == tmp_path / "consent" / "openings"
    assert made.log.witnesses is not None and made.log.witnesses.quorum.threshold == 1
    elsewhere = load(tmp_path, lambda tables: tables["consent"].update(openings="apart"))
    assert elsewhere.openings == tmp_path / "apart"
    alone = load(tmp_path, lambda tables: tables.pop("witnesses"))
    assert alone.log.witnesses is None
    assert (alone.log.retention_days, alone.log.groups) == (None, ())
    group = {"services": ["urn:a", "urn:b"], "purposes": ["https://w3id.org/dpv#PublicBenefit"]}
    logged = load(tmp_path, lambda tables: tables.update(log={"retention_days": 30, "groups": {"7": group}}))
    assert logged.log.retention_days == 30
    assert logged.log.groups == (Group(7, ("urn:a", "urn:b"), ("https://w3id.org/dpv#PublicBenefit",)),)


POLICY = f"witness city {KEY} http://localhost:8106\nquorum city\n"


def test_witnesses_by_a_policy_file(tmp_path: Path) -> None:
    def by_policy(tables: dict[str, dict[str, Any]]) -> None:
        tables["witnesses"] = {"policy": "policy"}

    (tmp_path / "policy").write_text(POLICY)
    made = load(tmp_path, by_policy).log.witnesses
    assert made is not None
    assert (made.urls, [key.format() for key in made.keys]) == (("http://localhost:8106",), [KEY])
    (tmp_path / "policy").write_text(POLICY.replace("quorum city", "quorum none"))
    assert load(tmp_path, by_policy).log.witnesses is None
    for content, said in ((POLICY.replace(" http://localhost:8106", ""), "cannot be met"), ("quorum x\n", "line 1")):
        (tmp_path / "policy").write_text(content)
        with pytest.raises(ConfigurationError, match=said):
            load(tmp_path, by_policy)
    (tmp_path / "policy").unlink()
    with pytest.raises(ConfigurationError, match="policy: No such file"):
        load(tmp_path, by_policy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tables: tables["consent"].pop("party"), "party"),
        (lambda tables: tables["consent"].pop("keyed_hash"), "keyed_hash"),
        (lambda tables: tables["consent"].update(period="2026/11"), "period"),
        (lambda tables: tables["consent"].update(port=1), "port: not known here"),
        (lambda tables: tables["consent"].update(database="mysql://x/y"), "database"),
        (lambda tables: tables["consent"].update(database="postgresql://a:secret@h/d"), "belongs in a file"),
        (lambda tables: tables.pop("registry"), "registry"),
        (lambda tables: tables.pop("client"), "client"),
        (lambda tables: tables.pop("trust"), "trust"),
        (lambda tables: tables["witnesses"].update(threshold=2), "quorum"),
        (lambda tables: tables["witnesses"].update(urls=[]), "1 keys and 0 urls"),
        (lambda tables: tables["witnesses"].update(keys=["x"]), "verifier key"),
        (lambda tables: tables.update(log={"retention_days": 0}), "retention_days"),
        (lambda tables: tables.update(log={"retention": 1}), "retention: not known here"),
        (lambda tables: tables.update(log={"groups": {"x": {"services": ["a", "b"], "purposes": ["c"]}}}), "a number"),
        (lambda tables: tables.update(log={"groups": {"01": {"services": ["a", "b"], "purposes": ["c"]}}}), "a number"),
        (lambda tables: tables.update(log={"groups": {"1": {"services": ["a"], "purposes": ["c"]}}}), "behind nothing"),
        (lambda tables: tables.update(other={"a": 1}), "other"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, change: Change, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path, change)


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    """All files that the configuration names."""
    pki = TownPki(tmp_path / "pki", clock=time.time)
    access = pki.access_certificate("consent")
    (tmp_path / "registry.pem").write_bytes(pki.root(REGISTRY).certificates.read_bytes())
    (tmp_path / "issuers.pem").write_bytes(pki.root(ISSUERS).certificates.read_bytes())
    (tmp_path / "access.pem").write_bytes(access.certificates.read_bytes())
    (tmp_path / "access.key.pem").write_bytes(access.key.read_bytes())
    (tmp_path / "consent.pem").write_bytes(SoftwareSigner.generate().to_pem())
    (tmp_path / "log-seed").write_text(secrets.token_hex(32))
    return tmp_path


def build(folder: Path, change: Change = lambda _: None) -> Any:
    return consent.build(load(folder, change), profile="sandbox", clock=time.time, random=secrets.token_bytes)


def test_it_is_built_and_a_second_process_beside_it(complete: Path) -> None:
    app = build(complete)
    assert {"/uses", "/log/checkpoint", "/log/periods", "/openapi.json"} <= {route.path for route in app.routes}
    build(complete)


def test_a_period_that_is_still_written_is_not_closed(complete: Path) -> None:
    build(complete)
    seed = (complete / "log-seed").read_text().strip()
    writer = LogWriter(complete / "consent" / "log", "localhost:8101/log/2026", Ed25519Signer.from_hex(seed))
    with pytest.raises(ConfigurationError, match="another process still writes period 2026"):
        build(complete, lambda tables: tables["consent"].update(period="2027"))
    writer.close()
    build(complete, lambda tables: tables["consent"].update(period="2027"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("consent.pem", None), ("consent.pem", b"x"), ("log-seed", None), ("log-seed", b"xx"), ("log-seed", b"\xff"),
        ("log-seed", b"ab"), ("access.pem", b"x"), ("issuers.pem", b"x"), ("registry.pem", None),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(complete: Path, name: str, content: bytes | None) -> None:
    path = complete / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        build(complete)


def test_a_witness_in_clear_is_for_the_sandbox(complete: Path) -> None:
    https = {"service": "https://consent.example", "registry": "https://registry.example/list"}

    def change(tables: dict[str, dict[str, Any]]) -> None:
        for name, url in https.items():
            tables[name]["url"] = url

    made = load(complete, change, profile="production")
    with pytest.raises(ConfigurationError, match="urls"):
        consent.build(made, profile="production", clock=time.time, random=secrets.token_bytes)


def test_a_citys_own_procedures(complete: Path) -> None:
    """An entry with a fault, or a folder that is not there, keeps the service from starting."""
    own = complete / "procedures"

    def change(tables: dict[str, dict[str, Any]]) -> None:
        tables["consent"]["procedures"] = own.name

    with pytest.raises(ConfigurationError, match="not there"):
        build(complete, change)
    own.mkdir()
    build(complete, change)
    (own / "balcony-plants.toml").write_text("sensitive = 1", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="balcony-plants"):
        build(complete, change)


def test_a_password_of_the_database_comes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_file(tables: dict[str, dict[str, Any]]) -> None:
        tables["consent"].update(database="postgresql://atorga@db.example/atorga", database_password="db-password")

    (tmp_path / "db-password").write_text("s3cr:et/@\n")
    made = load(tmp_path, by_file)
    assert "s3cr" not in repr(made)
    opened: list[str] = []
    monkeypatch.setattr(consent, "open_engine", opened.append)
    consent._engine(made)
    assert make_url(opened[0]).password == "s3cr:et/@"


def test_a_check_makes_no_table_in_a_database_that_may_be_in_use(complete: Path, empty_postgresql_url: str) -> None:
    """It would else migrate a running service's database, and turn the log's period over."""
    (complete / "apart").mkdir()
    made = load(complete, lambda tables: tables["consent"].update(database=empty_postgresql_url, openings="openings"))
    made = consent.checked(made, complete / "apart")
    consent.build(made, profile="sandbox", clock=time.time, random=secrets.token_bytes)
    engine = open_engine(empty_postgresql_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    assert not (complete / "openings").exists()


def test_a_database_that_does_not_answer_is_said_so(complete: Path) -> None:
    def nowhere(tables: dict[str, dict[str, Any]]) -> None:
        tables["consent"]["database"] = "postgresql://atorga@/grants?host=/nowhere"

    said = "/nowhere does not answer, or does not open 'grants' to atorga"
    with pytest.raises(ConfigurationError, match=said):
        consent.checked(load(complete, nowhere), complete)
    with pytest.raises(ConfigurationError, match=said):
        build(complete, nowhere)


def test_the_key_that_others_pin_is_shown(complete: Path) -> None:
    signer = Ed25519Signer.from_hex((complete / "log-seed").read_text())
    key = NoteKey("localhost:8101/log/2026", note.ED25519, signer.public)
    assert load(complete).shown == f"its log's key: {key.format()}"
