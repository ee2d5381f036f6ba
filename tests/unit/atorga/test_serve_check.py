"""``atorga serve … --check``: says whether a configuration is right, serves nothing and touches nothing."""

import time
from pathlib import Path

import pytest

from atorga import cli
from atorga.town.pki import TownPki
from consent.log import note
from consent.log.note import NoteKey
from identity.keys.ed25519 import Ed25519Signer

LOG_KEY = NoteKey("log.example/log/2026", note.ED25519, Ed25519Signer(bytes(32)).public)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "seed").write_text(bytes(range(32)).hex() + "\n")
    path = tmp_path / "witness.toml"
    path.write_text(
        f"""[service]
url = "https://witness.example"
port = 8106
data = "state"
[witness]
name = "witness.example"
seed = "seed"
logs = ["{LOG_KEY.format()}"]
"""
    )
    return path


def check(path: Path, *more: str) -> int:
    return cli.main(["serve", "witness", "--config", str(path), "--check", *more])


def change(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def test_right(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(configuration.parent.iterdir())
    assert check(configuration) == 0
    said = capsys.readouterr()
    key = NoteKey("witness.example", note.COSIGNATURE_V1, Ed25519Signer(bytes(range(32))).public)
    right = f"witness: {configuration} is right: it would serve https://witness.example.\n"
    assert said.out == f"{right}its key: {key.format()}\n"
    assert said.err == ""
    assert sorted(configuration.parent.iterdir()) == before, "its state folder is not even made"


def test_what_the_service_has_lies_untouched(configuration: Path, tmp_path: Path) -> None:
    """A folder that the service holds, or that is damaged, is its own matter."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "damaged").write_bytes(b"\0")
    assert check(configuration) == 0
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["damaged"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('seed = "seed"', 'seed = "missing"', "missing"),
        ('data = "state"', 'data = "seed"', "[service] data"),
        ('data = "state"', 'data = "seed/below"', "[service] data"),
        ('data = "state"', 'data = "state"\nlater = 1', "later"),
        ('name = "witness.example"', 'name = "witness.example"\nlater = 1', "later"),
        ("https://", "http://", "[service] url"),
        ("[witness]", '[registry]\nurl = "https://127.0.0.1:1/list"\nanchors = "none.pem"\n[witness]', "none.pem"),
        ("[witness]", '[registry]\nurl = "https://127.0.0.1:1/list"\nanchors = "root.pem"\n[witness]', "[registry]"),
    ],
)
def test_wrong(configuration: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str) -> None:
    root = TownPki(configuration.parent / "pki", clock=time.time).root("registry").certificates
    (configuration.parent / "root.pem").write_bytes(root.read_bytes())
    change(configuration, old, new)
    assert check(configuration) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""


def test_no_file(tmp_path: Path) -> None:
    assert check(tmp_path / "none.toml") == 2


def test_the_counter_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """``atorga issuer`` is there, and says what is wrong with its configuration."""
    assert cli.main(["issuer", "--config", "none.toml", "tick"]) == 2
    assert "none.toml" in capsys.readouterr().err
