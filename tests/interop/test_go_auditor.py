"""Go's transparency log code reads what our writer writes, and refuses what our auditor refuses.

The program in ``go/`` is built on Debian's golang-golang-x-mod-dev: another language, another
author's Merkle trees, notes and tiles. Both judge the same folders.
"""

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from consent.errors import LogError
from consent.ledger.audit import PeriodLog, audit
from consent.ledger.leaf import Kind
from consent.ledger.promise import sign_promise
from consent.log import note
from consent.log.note import NoteKey
from consent.log.reader import LogReader, from_folder, verify_period
from consent.log.seen import SeenCheckpoint
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests import dishonest_log
from tests.conftest import Requirement
from tests.consent_history import START_MINUTE, History, random_history

PROGRAM = Path(__file__).parent / "go"
PACKAGES = Path("/usr/share/gocode")
ORIGIN = "log.example/log/2026"
LOG = Ed25519Signer(bytes(32))
KEY = NoteKey(ORIGIN, note.ED25519, LOG.public)
WITNESSES = {f"witness-{n}.example": Ed25519Signer(bytes([n]) * 32) for n in (1, 2)}
NOW = (START_MINUTE + 10 * 366 * 24 * 60) * 60

SIZES = (0, 1, 5, 255, 256, 257, 513, 70_000)


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


GoAudit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def go_audit(tmp_path_factory: pytest.TempPathFactory) -> GoAudit:
    go = Requirement()("go")
    if not (PACKAGES / "src/golang.org/x/mod/sumdb").is_dir():
        Requirement()("golang-golang-x-mod-dev")  # no program, so it is never found: skips, or fails in the build
    folder = tmp_path_factory.mktemp("go")
    program = folder / "audit"
    environment = {
        **os.environ, "GOPATH": str(PACKAGES), "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(folder / "cache"),
    }  # fmt: skip
    command = [go, "build", "-o", str(program), "."]
    built = subprocess.run(
        command, cwd=PROGRAM, capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert built.returncode == 0, built.stderr

    def run(log: Path | str, *more: str, vkey: str = KEY.format(), now: int = NOW) -> dict[str, Any]:
        ran = subprocess.run(
            [str(program), "-vkey", vkey, "-now", str(now), *more, str(log)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        verdict: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        assert ran.returncode == (0 if verdict["verdict"] == "ok" else 1), ran.stderr
        return verdict

    return run


def write(folder: Path, entries: Sequence[bytes]) -> None:
    """In uneven batches, so that there are partial tiles of many widths."""
    log = LogWriter(folder, ORIGIN, LOG)
    random = Random(len(entries))
    while log.size < len(entries):
        log.append(entries[log.size : log.size + random.choice((1, 7, 255, 256, 1_000, 30_000))])
    log.close()


def ours(folder: Path, seen: Sequence[SeenCheckpoint] = ()) -> tuple[bool, int, str]:
    """Our auditor's word on the same folder: whether it passed, size, root."""
    reader = LogReader(from_folder(folder), KEY, max_entry_bytes=80)
    try:
        logs = [PeriodLog(reader, reader.checkpoint())]
    except LogError:
        return False, 0, ""
    report = audit(logs, seen=seen, quorum=None, quorum_required=False, now=NOW)
    checkpoint = report.checkpoint.checkpoint
    return report.passed, checkpoint.size, b64encode(checkpoint.root).decode()


@pytest.mark.parametrize("size", SIZES)
def test_both_read_the_same_log(go_audit: GoAudit, tmp_path: Path, size: int) -> None:
    history = random_history(size, size)
    write(tmp_path, history.entries)
    verdict = go_audit(tmp_path)
    assert verdict["verdict"] == "ok", verdict
    assert (True, verdict["size"], verdict["root"]) == ours(tmp_path)
    assert verdict["size"] == size and verdict["log"] == ORIGIN
    assert verdict["inclusion"] == (200 if size else 0)
    assert verdict["uses"] == sum(leaf.kind == 7 for leaf in history.leaves)


def test_every_kept_checkpoint_is_the_beginning(go_audit: GoAudit, tmp_path: Path) -> None:
    write(tmp_path, random_history(3, 1_500).entries)
    kept = sorted(tmp_path.glob("checkpoint.*"))
    assert len(kept) > 3
    verdict = go_audit(tmp_path, *(option for path in kept for option in ("-old", str(path))))
    assert verdict["verdict"] == "ok" and verdict["consistency"] == len(kept)


def test_it_reads_a_served_log(go_audit: GoAudit, tmp_path: Path) -> None:
    write(tmp_path, random_history(3, 700).entries)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(tmp_path)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        assert go_audit(address)["size"] == 700
        (tmp_path / "tile/0/001").unlink()
        assert go_audit(address)["verdict"] == "refused"
    finally:
        server.shutdown()
        server.server_close()


def test_cosignatures(go_audit: GoAudit, tmp_path: Path) -> None:
    write(tmp_path, random_history(3, 300).entries)
    log = LogWriter(tmp_path, ORIGIN, LOG)
    text = note.parse(log.signed_checkpoint).text
    lines = [note.cosign(text, name, key.public, key, now=1_795_315_110) for name, key in WITNESSES.items()]
    log.add_cosignatures(log.size, lines)
    keys = [NoteKey(name, note.COSIGNATURE_V1, key.public) for name, key in WITNESSES.items()]
    named = [option for key in keys for option in ("-witness", key.format())]
    verdict = go_audit(tmp_path, *named)
    assert verdict["verdict"] == "ok"
    assert verdict["witnesses"] == dict.fromkeys(WITNESSES, 1_795_315_110)
    assert go_audit(tmp_path)["witnesses"] == {}
    wrong = note.Signature(lines[0].name, lines[0].key_id, lines[0].value[:-1] + bytes([lines[0].value[-1] ^ 1]))
    log.add_cosignatures(log.size, [wrong])
    log.close()
    assert go_audit(tmp_path, *named)["verdict"] == "refused"
    assert go_audit(tmp_path, "-witness", KEY.format())["verdict"] == "refused"


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("tile/entries/001", 82 * 100 + 50),
        ("tile/entries/002.p/88", -1),
        ("tile/0/000", 0),
        ("tile/0/002.p/88", -1),
        ("tile/1/000.p/2", 40),
        ("checkpoint", 25),
        ("checkpoint", -5),
    ],
)
def test_both_refuse_a_flipped_byte(go_audit: GoAudit, tmp_path: Path, path: str, at: int) -> None:
    write(tmp_path, random_history(3, 600).entries)
    content = bytearray((tmp_path / path).read_bytes())
    content[at] ^= 1
    (tmp_path / path).write_bytes(content)
    assert go_audit(tmp_path)["verdict"] == "refused"
    assert not ours(tmp_path)[0]


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/0/001", "tile/1/000.p/2", "tile/0/002.p/88", "checkpoint"])
def test_both_refuse_a_missing_file(go_audit: GoAudit, tmp_path: Path, path: str) -> None:
    write(tmp_path, random_history(3, 600).entries)
    (tmp_path / path).unlink()
    assert go_audit(tmp_path)["verdict"] == "refused"
    assert not ours(tmp_path)[0]


def test_both_read_full_files_in_place_of_partial_ones(go_audit: GoAudit, tmp_path: Path) -> None:
    entries = random_history(3, 1_024).entries
    log = LogWriter(tmp_path, ORIGIN, LOG)
    log.append(entries[:600])
    early = log.signed_checkpoint
    log.append(entries[600:])
    log.close()
    for gone in ("tile/0/002.p/88", "tile/entries/002.p/88"):
        (tmp_path / gone).unlink()
    (tmp_path / "checkpoint").write_text(early)
    verdict = go_audit(tmp_path)
    assert verdict["verdict"] == "ok" and verdict["size"] == 600
    assert ours(tmp_path) == (True, 600, verdict["root"])


def test_both_refuse_two_histories(go_audit: GoAudit, tmp_path: Path) -> None:
    write(tmp_path / "shown", random_history(3, 600).entries)
    other = LogWriter(tmp_path / "other", ORIGIN, LOG)
    other.append(random_history(4, 300).entries)
    other.close()
    old = tmp_path / "other/checkpoint"
    assert go_audit(tmp_path / "shown", "-old", str(old))["verdict"] == "refused"
    assert not ours(tmp_path / "shown", [SeenCheckpoint(verify_period(old.read_text(), KEY))])[0]
    shorter = tmp_path / "shorter"
    write(shorter, random_history(3, 200).entries)
    assert go_audit(shorter, "-old", str(old))["verdict"] == "refused"


def test_both_find_a_use_after_the_end(go_audit: GoAudit, tmp_path: Path) -> None:
    history = History(Random(1))
    grant = history.give()
    history.end(grant)
    history.use(grant)
    write(tmp_path, history.entries)
    verdict = go_audit(tmp_path)
    assert (verdict["verdict"], verdict["uses_after_ending"]) == ("refused", 1)
    assert not ours(tmp_path)[0]


def test_another_key(go_audit: GoAudit, tmp_path: Path) -> None:
    write(tmp_path, random_history(3, 5).entries)
    other = NoteKey(ORIGIN, note.ED25519, WITNESSES["witness-1.example"].public)
    assert go_audit(tmp_path, vkey=other.format())["verdict"] == "refused"


# ── the dishonest-operator suite ─────────────────────────────────────────────────────────────────


def asked(folder: Path, shown: dishonest_log.Shown) -> list[str]:
    options: list[str] = []
    for number, seen in enumerate(shown.seen):
        (folder / f"seen-{number}").write_text(seen.note.format())
        options += ["-old", str(folder / f"seen-{number}")]
    if shown.promises:
        (folder / "promises").write_text("\n".join(shown.promises))
        options += ["-promise", str(folder / "promises")]
    if shown.previous is not None:
        options += ["-previous", str(shown.previous)]
    if shown.quorum is not None:
        options += ["-witness", dishonest_log.WITNESS_KEY.format()]
    return options


@pytest.mark.parametrize("scenario", dishonest_log.SCENARIOS, ids=lambda scenario: scenario.name)
def test_go_refuses_what_the_log_shows(go_audit: GoAudit, tmp_path: Path, scenario: dishonest_log.Scenario) -> None:
    """Where a second document or somebody's memory is needed, it finds nothing wrong with the log itself."""
    shown = scenario.build(tmp_path)
    vkey, now = dishonest_log.KEY.format(), dishonest_log.NOW
    verdict = go_audit(shown.folder, *asked(tmp_path, shown), vkey=vkey, now=now)
    assert verdict["verdict"] == ("refused" if scenario.go else "ok"), verdict


def test_go_finds_nothing_in_the_honest_town(go_audit: GoAudit, tmp_path: Path) -> None:
    dishonest_log.write(tmp_path / "log", dishonest_log.town().entries)
    verdict = go_audit(tmp_path / "log", vkey=dishonest_log.KEY.format(), now=dishonest_log.NOW)
    assert verdict["verdict"] == "ok" and verdict["violations"] == 0


@pytest.mark.parametrize("seed", range(8))
def test_two_auditors_written_apart_judge_alike(go_audit: GoAudit, tmp_path: Path, seed: int) -> None:
    """Histories in which some leaves are changed at random: the first of them is found by both."""
    random = Random(seed)
    history = random_history(seed, 400)
    for _ in range(random.choice((0, 1, 5))):
        index = random.randrange(len(history.leaves))
        leaf = history.leaves[index]
        field, value = random.choice(
            [
                ("counter", leaf.counter + 1), ("service", leaf.service + 1), ("purpose", leaf.purpose + 1),
                ("flags", leaf.flags ^ random.choice((1, 2))), ("minute", leaf.minute - 5_000), ("mask", leaf.mask ^ 2),
                ("end_day", leaf.end_day + 9), ("max_uses", leaf.max_uses + 1), ("kind", Kind(random.randint(1, 15))),
                ("id", random.choice(history.leaves).id),
            ]
        )  # fmt: skip
        changed: dict[str, Any] = {field: value}
        history.leaves[index] = replace(leaf, **changed)
    write(tmp_path, history.entries)
    verdict = go_audit(tmp_path)
    reader = LogReader(from_folder(tmp_path), KEY, max_entry_bytes=80)
    report = audit([PeriodLog(reader, reader.checkpoint())], seen=(), quorum=None, quorum_required=False, now=NOW)
    assert (verdict["verdict"] == "ok") == report.passed, (verdict, report.findings)
    if not report.passed:
        first = min(finding.leaf_index for finding in report.findings if finding.leaf_index is not None)
        assert verdict["findings"][0].startswith(f"entry {first}:")


def test_both_read_two_periods(go_audit: GoAudit, tmp_path: Path) -> None:
    closed = dishonest_log.write(tmp_path / "2026", dishonest_log.town().entries)
    later = replace(dishonest_log.town(), leaves=[])
    later.previous(closed.note.text)
    later.use(later.live[0])
    dishonest_log.write(tmp_path / "2027", later.entries, origin=dishonest_log.NEXT_ORIGIN)
    vkey, now = dishonest_log.KEY.format(), dishonest_log.NOW
    assert go_audit(tmp_path / "2027", "-previous", str(tmp_path / "2026"), vkey=vkey, now=now)["verdict"] == "ok"
    assert "period before" in go_audit(tmp_path / "2027", vkey=vkey, now=now)["error"]


def test_a_kept_promise(go_audit: GoAudit, tmp_path: Path) -> None:
    history = dishonest_log.town()
    due = (history.minute + 30) * 60
    history.end(history.live[0])
    dishonest_log.write(tmp_path / "log", history.entries)
    promise = sign_promise(history.leaves[-1], due=due, key=dishonest_log.KEY, signer=dishonest_log.SIGNER)
    (tmp_path / "promise").write_text(promise)
    vkey, now = dishonest_log.KEY.format(), dishonest_log.NOW
    assert go_audit(tmp_path / "log", "-promise", str(tmp_path / "promise"), vkey=vkey, now=now)["promises"] == 1
    (tmp_path / "promise").write_text(promise[:-8] + "AAAAAAAA")
    assert (
        "not signed" in go_audit(tmp_path / "log", "-promise", str(tmp_path / "promise"), vkey=vkey, now=now)["error"]
    )
