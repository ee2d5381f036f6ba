"""``docs/auditing.md``: each of its commands does what the page says, and its table names every check."""

import re
import shlex
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import pytest

from atorga import cli
from atorga.audit_arguments import CASE
from consent.ledger.findings import Invariant
from consent.ledger.promise import sign_promise
from consent.log import note
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.codec import strict_json
from identity.keys.ed25519 import Ed25519Signer
from tests.architecture.named_tests import ROOT
from tests.audited_holder import AuditedHolder
from tests.consent_history import History

ORIGIN = "log.example/log/2025"
SIGNER, WITNESS = Ed25519Signer(bytes(32)), Ed25519Signer(bytes([7]) * 32)
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
WITNESS_KEY = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS.public)
PAST = 29_000_000

PAGE = (ROOT / "docs/auditing.md").read_text(encoding="utf-8")


def commands(kind: str = "") -> list[str]:
    blocks = re.findall(rf"^```sh{kind}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What the page names: a city with a witness and one data holder, and files that others handed over."""
    history = History(Random(1), minute=PAST)
    grant = history.give()
    for _ in range(3):
        history.use(grant)
    history.end(grant)
    served, own = tmp_path / "city", tmp_path / "own"
    own.mkdir()
    log = LogWriter(served / "log", ORIGIN, SIGNER)
    log.append(history.entries)
    text = note.parse(log.signed_checkpoint).text
    log.add_cosignatures(log.size, [note.cosign(text, WITNESS_KEY.name, WITNESS.public, WITNESS, now=int(time.time()))])
    (own / "receipt-proof.txt").write_text(log.prove(1))
    log.close()
    due = (PAST + 5) * 60
    (own / "promises.txt").write_text(sign_promise(history.leaves[-1], due=due, key=KEY, signer=SIGNER))
    holder = AuditedHolder(own, ORIGIN, history)
    (served / "journal-roots").write_bytes(strict_json.compact({"roots": [holder.statement()]}))
    (own / "records.json").write_bytes(holder.printed())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(served)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.chdir(own)
    yield {
        "CITY": f"http://127.0.0.1:{server.server_port}", "LOG_VKEY": KEY.format(),
        "WITNESS_VKEY": WITNESS_KEY.format(), "REGISTRY": "list",
    }  # fmt: skip
    server.shutdown()
    server.server_close()


def arguments(line: str, names: dict[str, str]) -> list[str]:
    program, *rest = shlex.split(re.sub(r"\$(\w+)", lambda match: names[match[1]], line))
    assert program == "atorga"
    return rest


def test_each_command_does_what_the_page_says(city: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    ran = [line for line in commands() if CASE not in line.split()]
    assert len(ran) == 5
    for line in ran:
        code = cli.main([*arguments(line, city), "--lang", "en"])
        said = capsys.readouterr()
        assert code == 0, (line, said.out + said.err)
        assert "Everything that the log can show holds." in said.out or "tell the same" in said.out
    assert Path("my-copy/seen").is_dir()


def test_the_others_are_understood(city: dict[str, str]) -> None:
    """A case needs a resident (``tests/unit/consent/service/test_cases.py``), pages a browser."""
    for line in [line for line in commands() if CASE in line.split()] + commands(" serve"):
        cli.parser().parse_args(arguments(line, city))


def test_every_check_has_its_line() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("|") and "`tests/" in line]
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row[2])}
    assert named == {invariant.value for invariant in Invariant} | {"reconcile"}
    assert {row[4].strip() for row in rows} == {"yes", "no", "signatures only"}
