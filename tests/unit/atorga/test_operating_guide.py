"""``docs/operating.md``: its keys are keys, its configuration is one, its commands do what the page says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from atorga import cli
from atorga.serve import consent, settings
from consent.grant.officers import parse_officers
from consent.log import note
from consent.log.note import NoteKey
from consent.log.policy import Policy
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash_process import read_keys
from identity.keys.signer import SoftwareSigner
from tests.architecture.named_tests import ROOT

PAGE = (ROOT / "docs/operating.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def policy() -> bytes:
    """The page's, with keys that are keys."""

    def key(found: re.Match[str]) -> str:
        return NoteKey(found[1], note.COSIGNATURE_V1, Ed25519Signer(bytes(31) + bytes([len(found[1])])).public).format()

    (block,) = blocks("policy")
    return re.sub(r"([\w.]+)\+[0-9a-f]{8}\+KEY", key, block).encode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of a block. ``atorga`` runs in this process."""
    program, *arguments = shlex.split(line.partition(" > ")[0])
    if program == "atorga":
        assert cli.main(arguments) == 0
        said = capsys.readouterr().out
    else:
        command = [sys.executable if program == "python" else program, *arguments]
        said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=None).stdout
    if file := line.partition(" > ")[2]:
        Path(file).write_text(said)


def test_keys_and_officers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys, officers = blocks("sh")
    for line in (keys + officers).splitlines():
        run(line, capsys)
    assert SoftwareSigner.from_pem((folder / "consent.pem").read_bytes())
    assert Ed25519Signer.from_hex((folder / "log-seed").read_text().strip())
    assert read_keys(folder / "hashes.json").keys() == {"account"}
    made = parse_officers((folder / "officers.json").read_bytes())
    assert made.key is not None
    grant = "A" * 22
    (opening,) = blocks("sh open")
    for line in opening.replace("$GRANT", grant).splitlines()[:2]:
        run(line, capsys)
    assert (folder / "order-2").read_text() != (folder / "order-1").read_text()


def test_the_configuration(folder: Path) -> None:
    (configuration,) = blocks("toml")
    (folder / "consent.toml").write_text(configuration)
    (folder / "policy").write_bytes(policy())
    head, rest = settings.load(folder / "consent.toml", profile="production")
    made = consent.settings(head, rest)
    rest.done()
    assert head.workers == 2 and made.log.retention_days == 1_095
    assert made.log.witnesses is not None and len(made.log.witnesses.urls) == 2
    assert Policy.parse(policy()).quorum_name == "others"
