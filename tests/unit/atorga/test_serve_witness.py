"""The witness as a process: its configuration, and what a wrong one gets."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from atorga.serve import witness
from atorga.serve.settings import ConfigurationError, load
from consent.log import note
from consent.log.note import NoteKey
from consent.log.submission import format_submission
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

NOW = 1_795_315_110
LOG = Ed25519Signer(bytes(32))
LOG_KEY = NoteKey("log.example/log/2026", note.ED25519, LOG.public)
SEED = bytes(range(32))

FOLLOWED = f'["{LOG_KEY.format()}"]'

Configure = Callable[..., Path]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    def write(
        name: str = "witness.example", seed: str = SEED.hex() + "\n", logs: str = f'["{LOG_KEY.format()}"]'
    ) -> Path:
        (tmp_path / "seed").write_text(f"{seed}\n")
        path = tmp_path / "witness.toml"
        path.write_text(
            f"""[service]
url = "https://witness.example"
port = 8106
data = "state"
[witness]
name = "{name}"
seed = "seed"
logs = {logs}
"""
        )
        return path

    return write


def build(path: Path) -> TestClient:
    head, rest = load(path, profile="production")
    settings = witness.settings(head, rest)
    rest.done()
    return TestClient(witness.build(settings, profile="production", clock=lambda: NOW, random=bytes))


def test_it_cosigns(configure: Configure, tmp_path: Path) -> None:
    client = build(configure())
    log = LogWriter(tmp_path / "log", LOG_KEY.name, LOG)
    log.append([b"entry"])
    answer = client.post("/add-checkpoint", content=format_submission(0, [], log.signed_checkpoint))
    log.close()
    key = NoteKey("witness.example", note.COSIGNATURE_V1, Ed25519Signer(SEED).public)
    line = note.parse_signature(answer.text.rstrip("\n"))
    assert note.verify_cosignature(note.parse(log.signed_checkpoint).with_signatures([line]), key) == NOW


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": "00"},
        {"seed": "zz" * 32},
        {"seed": "é"},
        {"name": "with space"},
        {"logs": "[]"},
        {"logs": '["no key"]'},
        {"logs": f'["{NoteKey("w", note.COSIGNATURE_V1, LOG.public).format()}"]'},
        {"logs": '"text"'},
    ],
    ids=str,
)
def test_a_wrong_configuration_starts_nothing(configure: Configure, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="witness"):
        build(configure(**wrong))


def test_a_missing_key_file_is_named(configure: Configure, tmp_path: Path) -> None:
    path = configure()
    (tmp_path / "seed").unlink()
    with pytest.raises(ConfigurationError, match="seed: No such file"):
        build(path)
