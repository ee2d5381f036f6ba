"""The data holder as a process: its configuration, and what a wrong one gets."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from atorga.serve import holder
from atorga.serve.settings import ConfigurationError, load
from atorga.town.pki import ISSUERS, REGISTRY, TownPki
from consent.log.note import ED25519, NoteKey
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from tests.holder_city import NOW, make_register

VKEY = NoteKey("consent.example/log/2026", ED25519, Ed25519Signer(bytes(32)).public).format()
WITNESS = NoteKey("witness.example", 4, Ed25519Signer(bytes(range(32))).public).format()

CONFIGURATION = f"""
[service]
url = "https://holder.example"
port = 8102
data = "state"
[registry]
url = "https://registry.example/list"
anchors = "registry.pem"
[holder]
party = "urn:atorga:party:hacienda"
key = "key.pem"
hpke_key = "hpke.json"
previous_hpke_key = "hpke-old.json"
consent = "urn:atorga:party:consent"
log_vkey = "{VKEY}"
issuer_anchors = "issuers.pem"
[witnesses]
keys = ["{WITNESS}"]
threshold = 1
[declaration]
id = "padron"
version = 1
vct = "urn:atorga:person-id:1"
path = ["personal_administrative_number"]
[declaration.attributes."income.band"]
category = "https://w3id.org/dpv/pd#Income"
resolutions = ["raw", "binned:eur-6", "coarse:thousands"]
purposes = ["https://w3id.org/dpv#PublicBenefit"]
[declaration.attributes."household.size"]
category = "https://w3id.org/dpv/pd#Household"
resolutions = ["raw", "predicate:over-4"]
purposes = ["https://w3id.org/dpv#PublicBenefit"]
[register]
url = "sqlite:///FOLDER/register.sqlite"
[register.row]
query = "SELECT row_id FROM resident WHERE nif = :value"
[register.attributes."income.band"]
type = "integer"
query = "SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1"
[register.attributes."household.size"]
type = "integer"
table = "household"
column = "size"
by = "row_id"
[resolutions."binned:eur-6"]
edges = [9000, 15000.5, 21000, 30000, 45000]
[resolutions."predicate:over-4"]
at_least = 5
[resolutions."coarse:thousands"]
step = 1000
[resolutions."coarse:quarter"]
map = {{ "Gran Via" = "Eixample" }}
"""

Configure = Callable[..., Path]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    make_register(tmp_path / "register.sqlite")
    pki = TownPki(tmp_path / "pki", clock=lambda: float(NOW))
    (tmp_path / "registry.pem").write_bytes(pki.root(REGISTRY).certificates.read_bytes())
    (tmp_path / "issuers.pem").write_bytes(pki.root(ISSUERS).certificates.read_bytes())
    (tmp_path / "key.pem").write_bytes(SoftwareSigner.generate().to_pem())
    for name in ("hpke", "hpke-old"):
        (tmp_path / f"{name}.json").write_text(json.dumps(AgreementPrivateKey.generate().private_jwk()))

    def write(old: str = "", new: str = "", *, also: str = "") -> Path:
        text = CONFIGURATION.replace("FOLDER", str(tmp_path))
        assert old in text
        path = tmp_path / "holder.toml"
        path.write_text(text.replace(old, new, 1) + also)
        return path

    return write


def build(path: Path) -> FastAPI:
    head, rest = load(path, profile="production")
    settings = holder.settings(head, rest)
    rest.done()
    return holder.build(settings, profile="production", clock=lambda: float(NOW), random=bytes)


def test_it_is_built_and_built_again(configure: Configure, tmp_path: Path) -> None:
    for _ in range(2):
        app = build(configure())
    paths = {getattr(route, "path", "") for route in app.routes}
    assert {"/links", "/data", "/journal", "/withdrawals"} <= paths
    kept = list((tmp_path / "state" / "declarations").iterdir())
    assert len(kept) == 1, "one declaration, signed once"


def test_without_witnesses_or_previous_key(configure: Configure) -> None:
    path = configure(f'[witnesses]\nkeys = ["{WITNESS}"]\nthreshold = 1\n')
    path.write_text(path.read_text().replace('previous_hpke_key = "hpke-old.json"\n', ""))
    build(path)


def test_a_changed_declaration_needs_a_higher_version(configure: Configure) -> None:
    build(configure())
    with pytest.raises(ConfigurationError, match="version"):
        build(configure('"raw", "predicate:over-4"', '"raw"'))
    path = configure('"raw", "predicate:over-4"', '"raw"')
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    build(path)


WRONG: list[tuple[str, str, str]] = [
    ('[registry]\nurl = "https://registry.example/list"\nanchors = "registry.pem"\n', "", "registry"),
    ('key = "key.pem"', 'key = "missing.pem"', "missing.pem"),
    ('key = "key.pem"', 'key = "issuers.pem"', "PEM"),
    ('hpke_key = "hpke.json"', 'hpke_key = "key.pem"', "key.pem"),
    (f'log_vkey = "{VKEY}"', 'log_vkey = "log"', "log_vkey"),
    (f'log_vkey = "{VKEY}"', "", "log_vkey"),
    ("threshold = 1", "threshold = 2", "witnesses"),
    (f'keys = ["{WITNESS}"]', f'keys = ["{VKEY}"]', "witnesses"),
    ('party = "urn', 'pary = "urn', "party"),
    ('id = "padron"', 'id = "padron@2"', "id"),
    ("version = 1", "version = 0", "version"),
    ("https://w3id.org/dpv/pd#Income", "https://w3id.org/dpv/pd#Incomes", "category"),
    ("https://w3id.org/dpv#PublicBenefit", "https://w3id.org/dpv#Curiosity", "purpose"),
    ('"raw", "binned:eur-6"', '"raw", "binned"', "resolution"),
    ('"raw", "binned:eur-6"', '"raw", "binned:eur-7"', "binned:eur-7"),
    ('"raw", "predicate:over-4"', "", "resolutions"),
    ("register.sqlite", "nowhere.sqlite", "does not exist"),
    ("sqlite:///", "oracle-of-delphi:///", "url"),
    ("FROM resident", "FROM residents", "register"),
    ("WHERE nif = :value", "WHERE nif = '1'", ":value"),
    ('column = "size"', 'column = "sizes"', "register"),
    ('type = "integer"\ntable', 'type = "date"\ntable', "type"),
    (
        '[register.attributes."household.size"]\ntype = "integer"',
        '[register.attributes."x"]\ntype = "integer"',
        "source",
    ),
    ("edges = [9000, 15000.5", "edges = [16000, 15000.5", "rise"),
    ("edges = [9000, 15000.5", 'edges = ["a", 15000.5', "numbers"),
    ("at_least = 5", "", "predicate"),
    ("at_least = 5", "at_least = 5\nbelow = 5", "predicate"),
    ("at_least = 5", "at_least = 5\nover = 4", "over"),
    ("step = 1000", "step = 0", "step"),
    ('[resolutions."coarse:quarter"]', '[resolutions."rounded:quarter"]', "FAMILY:NAME"),
    ('[resolutions."coarse:quarter"]', '[resolutions."coarse"]', "FAMILY:NAME"),
]


@pytest.mark.parametrize(
    ("old", "new", "says"), WRONG, ids=[f"{number}-{says}" for number, (*_, says) in enumerate(WRONG)]
)
def test_wrong(configure: Configure, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        build(configure(old.replace("FOLDER", ""), new))


def test_a_register_that_is_no_database(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "register.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigurationError, match="register"):
        build(configure())


def test_the_register_is_opened_to_read(configure: Configure, tmp_path: Path) -> None:
    build(configure())
    with sqlite3.connect(tmp_path / "register.sqlite") as connection:
        tables: list[Any] = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    assert [name for (name,) in tables] == ["household", "income", "resident"]
