"""The issuer as a process: its configuration, what a wrong one gets, and the commands of its counter."""

import argparse
import io
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from atorga import issuer_commands
from atorga.serve import issuer
from atorga.serve.settings import ConfigurationError, Profile, load
from atorga.town.card_pki import CardPki
from atorga.town.padron import residents, write_padron
from atorga.town.pki import TownPki
from identity.keys.keyed_hash_process import make_keys, serve

ROOT = Path(__file__).parents[3]
BASE = "http://localhost:8100"

Configure = Callable[..., Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, certificates and a small register, made once."""
    folder = tmp_path_factory.mktemp("serve")
    pki = TownPki(folder / "pki", clock=time.time)
    pki.issuer_signer("bcn", issuer=f"{BASE}/bcn")
    pki.status_signer("bcn", issuer=f"{BASE}/bcn")
    pki.trust_pem()
    CardPki(folder / "cards", ocsp_url="http://localhost:8105", clock=time.time, random=secrets.token_bytes)
    write_padron(folder / "padron.sqlite", residents()[:20])
    make_keys(folder / "hash-keys.json", ["bcn/pairwise", "bcn/subject"], secrets.token_bytes)
    return folder


CONFIGURATION = """
[service]
url = "{base}"
port = 8100
data = "{state}"
[registry]
url = "{base}/registry"
anchors = "pki/registry-root.pem"
[keyed_hash]
socket = "hash.sock"
[cards.sandbox]
profile = "sandbox"
roots = "cards/root.pem"
issuing = "cards/issuing.pem"
[tenants.bcn]
types = ["person-id", "residency", "pairwise"]
credential_key = "pki/bcn-credentials.key.pem"
credential_chain = "pki/bcn-credentials.pem"
status_key = "pki/bcn-status.key.pem"
status_chain = "pki/bcn-status.pem"
status_list_size = 1024
row_register = "padron"
demo_subject = "7"
[tenants.bcn.names]
ca = "Ajuntament de proves"
[tenants.bcn.registers.padron]
url = "sqlite:///{folder}/padron.sqlite"
person_query = "SELECT nif AS id_number, given_name, family_name, birthdate FROM resident WHERE row_id = :subject"
claims_query = "SELECT municipality, district, neighbourhood, resident_since FROM resident WHERE nif = :id_number"
"""


@pytest.fixture
def configure(place: Path, tmp_path: Path) -> Configure:
    def write(*changes: tuple[str, str], more: str = "", base: str = BASE) -> Path:
        content = CONFIGURATION.format(base=base, folder=place, state=tmp_path / "state")
        for old, new in changes:
            assert old in content
            content = content.replace(old, new, 1)
        path = place / f"{tmp_path.name}.toml"
        path.write_text(content + more)
        return path

    return write


def build(path: Path, profile: Profile = "sandbox") -> Any:
    head, rest = load(path, profile=profile)
    settings = issuer.settings(head, rest)
    rest.done()
    return issuer.build(settings, profile=profile, clock=time.time, random=secrets.token_bytes)


def test_it_serves(configure: Configure) -> None:
    with TestClient(build(configure()), base_url=BASE) as client:
        found = client.get("/.well-known/openid-credential-issuer/bcn").json()
        assert found["credential_issuer"] == f"{BASE}/bcn"
        assert found["display"] == [{"name": "Ajuntament de proves", "locale": "ca"}]
        assert len(found["credential_configurations_supported"]) == 3
        assert client.post("/bcn/admin/offers").status_code == 404, "without the town's section there are no helpers"


def test_production_with_attestation_refuses_to_start(configure: Configure) -> None:
    for more in ("", '[issuer]\nprofile = "haip"\n'):
        with pytest.raises(ConfigurationError, match="haip demands wallet attestation"):
            build(configure(base="https://issuer.example", more=more), "production")
    with pytest.raises(ConfigurationError, match="haip demands"):
        build(configure(more='[issuer]\nprofile = "haip"\n'))


def test_production_without_it_keeps_to_its_profile(configure: Configure) -> None:
    base, sandbox = '[issuer]\nprofile = "base"\n', ('profile = "sandbox"', 'profile = "sandbox"')
    with pytest.raises(ConfigurationError, match="sandbox"):
        build(configure(sandbox, base="https://issuer.example", more=base), "production")
    publish = '[publish]\nregistry = "list.jwt"\n'
    with pytest.raises(ConfigurationError, match="publish"):
        build(configure(base="https://issuer.example", more=base + publish), "production")
    with pytest.raises(ConfigurationError, match="town"):
        build(configure(base="https://issuer.example", more=base + '[town]\ntoken_sha256 = "00"\n'), "production")


def test_production_imports_no_town_and_mounts_no_helper(configure: Configure, place: Path, tmp_path: Path) -> None:
    """In a process of its own, with a card family that is not the sandbox's."""
    profile = (ROOT / "identity" / "card" / "profiles" / "sandbox.toml").read_text()
    real = profile.replace("sandbox = true", "sandbox = false").replace(
        "2.25.56556372187788986243474498359307543333", "1.2.3.4"
    ).replace(":*", "")  # fmt: skip
    (place / "real.toml").write_text(real)
    path = configure(
        ('profile = "sandbox"', 'profile_file = "real.toml"'), base="https://issuer.example",
        more='[issuer]\nprofile = "base"\n',
    )  # fmt: skip
    program = (
        "import sys, json, time, secrets\n"
        "from pathlib import Path\n"
        "from atorga.serve import issuer\n"
        "from atorga.serve.settings import load\n"
        "head, rest = load(Path(sys.argv[1]), profile='production')\n"
        "app = issuer.build(issuer.settings(head, rest), profile='production', clock=time.time, "
        "random=secrets.token_bytes)\n"
        "paths = [str(getattr(route, 'path', route)) for route in app.routes]\n"
        "print(json.dumps([sorted(app.openapi()['paths']) + paths, [m for m in sys.modules if 'town' in m]]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    paths, modules = json.loads(ran.stdout)
    assert paths and not any("admin" in path for path in paths)
    assert modules == ["identity.issuer.town_hall"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("port = 8100", "port = 8100\nextra = 1"), "extra"),
        (("[keyed_hash]", "[keyed_hashes]"), "keyed_hash"),
        (('socket = "hash.sock"', 'socket = "hash.sock"\nkeys = "x"'), "keys"),
        (('profile = "sandbox"', 'profile = "unknown"'), "unknown"),
        (('profile = "sandbox"', 'profile = "sandbox"\nprofile_file = "x"'), "either"),
        (('profile = "sandbox"\n', ""), "either"),
        (('roots = "cards/root.pem"', 'roots = "cards/none.pem"'), "none.pem"),
        (('issuing = "cards/issuing.pem"', 'issuing = "pki/registry-root.pem"'), "cards"),
        (("[tenants.bcn]", "[tenants.Bcn]"), "a-z"),
        (('types = ["person-id", "residency", "pairwise"]', 'types = ["nothing"]'), "nothing"),
        (('types = ["person-id", "residency", "pairwise"]', "types = []\nextra = 1"), "extra"),
        (('"pki/bcn-status.key.pem"', '"pki/bcn-credentials.key.pem"'), "not that of"),
        (('"pki/bcn-status.pem"', '"pki/registry-root.pem"'), "not that of"),
        (('"pki/bcn-credentials.key.pem"', '"pki/none.pem"'), "none.pem"),
        (("status_list_size = 1024", "status_list_size = 1027"), "multiple of 8"),
        (("status_list_size = 1024", "status_list_size = 1048577"), "status_list_size"),
        (('row_register = "padron"', 'row_register = "census"'), "row_register"),
        (("[tenants.bcn.registers.padron]", "[tenants.bcn.registers.census]"), "row_register"),
        (('row_register = "padron"\n', "deferred = ['unknown']\n"), "deferred"),
        (("sqlite:///", "nonsense"), "url"),
        (('anchors = "pki/registry-root.pem"', 'anchors = "pki/none.pem"'), "none.pem"),
        (('ca = "Ajuntament de proves"', ""), "names"),
        (("[registry]", "[issuer]\nprofile = 'some'\n[registry]"), "base or haip"),
    ],
)
def test_configurations_that_are_refused(configure: Configure, change: tuple[str, str], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        build(configure(change))


def test_roots_do_not_travel_in_x5c(configure: Configure, place: Path) -> None:
    chain = (place / "pki" / "bcn-status.pem").read_text() + (place / "pki" / "issuers-root.pem").read_text()
    (place / "with-root.pem").write_text(chain)
    with pytest.raises(ConfigurationError, match="without the root"):
        build(configure(('"pki/bcn-status.pem"', '"with-root.pem"')))


def test_without_list_or_cards_or_town_halls(configure: Configure, place: Path) -> None:
    path = configure()
    content = path.read_text()
    registry = content[content.index("[registry]") : content.index("[keyed_hash]")]
    cards = content[content.index("[cards.sandbox]") : content.index("[tenants.bcn]")]
    for cut, match in (
        (registry, "registry"),
        (cards, "cards"),
        (content[content.index("[tenants.bcn]") :], "tenants"),
    ):
        path.write_text(content.replace(cut, ""))
        with pytest.raises(ConfigurationError, match=match):
            build(path)


def test_state_is_reopened(configure: Configure, tmp_path: Path) -> None:
    path = configure()
    build(path)
    secret = (tmp_path / "state" / "nonce-secret").read_bytes()
    assert len(secret) == 32 and (tmp_path / "state" / "nonce-secret").stat().st_mode & 0o777 == 0o600
    build(path)
    assert (tmp_path / "state" / "nonce-secret").read_bytes() == secret
    (tmp_path / "state" / "nonce-secret").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="nonce-secret"):
        build(path)


# atorga issuer …


@pytest.fixture
def hashes(place: Path) -> Iterator[None]:
    server = serve(place / "hash-keys.json", place / "hash.sock")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def command(path: Path, *arguments: str, typed: str = "") -> tuple[int, Any]:
    parser = argparse.ArgumentParser()
    issuer_commands.add_parser(parser.add_subparsers(dest="command"))
    given = parser.parse_args(["issuer", "--config", str(path), "--profile", "sandbox", *arguments])
    out = io.StringIO()
    code = issuer_commands.run(given, stdin=io.StringIO(typed), stdout=out)
    return code, json.loads(out.getvalue()) if out.getvalue() else None


def test_counter(configure: Configure, hashes: None) -> None:
    path = configure()
    code, offered = command(path, "offer", "--subject", "3", "--tx-code", "person-id-sd-jwt")
    assert code == 0 and offered["credential_offer"].startswith("openid-credential-offer://")
    assert len(offered["tx_code"]) == 6
    assert command(path, "offer", "--subject", "77", "person-id-sd-jwt")[0] == 1
    assert command(path, "offer", "--subject", "3", "unknown")[0] == 1
    assert command(path, "tick") == (0, {"flipped": 0})
    assert command(path, "deferred") == (0, {"waiting": []})
    assert command(path, "deferred", "--person", typed="00000001R\n") == (0, {"waiting": []})
    assert command(path, "deferred", "--approve", "1")[0] == 1
    assert command(path, "revoke", "--person", "--reason", "loss", typed="00000001r\n") == (0, {"revoked": []})
    assert command(path, "revoke", "--person", "--reason", "loss")[0] == 1
    assert command(path, "revoke", "--person", "--reason", "whim", typed="x\n")[0] == 1
    assert command(path, "revoke", "--credential", "!", "--reason", "loss")[0] == 1
    assert command(path, "revoke", "--status", f"{BASE}/bcn/status/1", "x", "--reason", "loss")[0] == 1
    assert command(path, "revoke", "--status", f"{BASE}/bcn/status/1", "5", "--reason", "loss") == (0, {"revoked": []})


def test_counter_without_configuration(
    tmp_path: Path, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path / "none.toml", "tick")[0] == 2
    assert command(configure(), "--tenant", "bilbo", "tick")[0] == 2
    assert "bcn is expected" in capsys.readouterr().err
