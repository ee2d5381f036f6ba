"""``atorga audit`` with a memory: mirror, promises, published numbers, periods without entries; ``reconcile``."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from atorga import cli
from atorga.reconcile import day_text
from consent.holder.records import LeafRecord
from consent.ledger.leaf import Kind
from consent.ledger.promise import sign_promise
from consent.log import note
from consent.log.mirror import Mirror
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.codec import base64url, strict_json
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from tests.audited_holder import TAX, AuditedHolder
from tests.consent_history import History

ORIGIN, NEXT_ORIGIN = "log.example/log/2025-02", "log.example/log/2025-03"
SIGNER = Ed25519Signer(bytes(32))
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
PAST = 29_000_000
"""A minute of 2025: the command goes by the machine's clock."""


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class City:
    """What a consent service serves."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.history = History(Random(5), minute=PAST)

    def live(self, leaves: int, *, today: bool = False) -> None:
        """``today``: what is new has the minute in which it is written, as an auditor who came before expects."""
        while len(self.history.leaves) < leaves:
            if today:
                self.history.minute = int(time.time()) // 60
                self.history.other(Kind.DECLARE)
            else:
                self.history.step()
        self.write()

    def write(self, *, origin: str = ORIGIN, folder: str = "log") -> str:
        """The signed checkpoint."""
        log = LogWriter(self.folder / folder, origin, SIGNER)
        log.append(self.history.entries[log.size :])
        log.close()
        return log.signed_checkpoint

    def close_period(self, retention: int | None = 1) -> None:
        """The log goes on in a new one; the old one is served under its name."""
        shutil.move(self.folder / "log", self.folder / "old")
        (self.folder / "log").mkdir()
        shutil.move(self.folder / "old", self.folder / "log/2025-02")
        closed = (self.folder / "log/2025-02/checkpoint").read_text()
        self.history = History(Random(6), minute=self.history.minute, live=self.history.live, ended=self.history.ended)
        self.history.previous(note.parse(closed).text)
        self.history.use(self.history.live[0]) if not self.history.live[0].paused else None
        self.write(origin=NEXT_ORIGIN)
        rows = [
            {"period": "2025-02", "first": 0, "size": 300, "entries": "kept"},
            {"period": "2025-03", "first": 300, "size": None, "entries": "kept"},
        ]
        (self.folder / "log/periods").write_bytes(
            strict_json.compact({"retention_seconds": retention, "periods": rows})
        )

    def publish(self, name: str, value: Any) -> None:
        (self.folder / name).write_bytes(strict_json.compact(value))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    folder = tmp_path / "city"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield City(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(city: City, capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*more: str | Path, command: str = "audit") -> tuple[int, str]:
        code = cli.main(
            [
                command,
                city.url,
                "--vkey",
                KEY.format(),
                *(("--lang", "en") if "--lang" not in more else ()),
                *map(str, more),
            ]
        )
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


# ── mirror ───────────────────────────────────────────────────────────────────────────────────────


def test_the_copy_grows_and_is_what_is_replayed(city: City, ask: Ask, tmp_path: Path) -> None:
    city.live(300)
    code, out = ask("--mirror", tmp_path / "m", "--json")
    assert code == 0 and json.loads(out)["mirror"] == {"kept": 0, "fetched": 300}
    city.live(900, today=True)
    code, out = ask("--mirror", tmp_path / "m")
    assert code == 0 and "300 entries were kept and right, 600 were fetched" in out
    assert {path.name for path in (tmp_path / "m/2025-02").glob("checkpoint*")} == {
        "checkpoint", "checkpoint.300", "checkpoint.900",
    }  # fmt: skip
    # What the city deletes later is here.
    shutil.rmtree(city.folder / "log/tile")
    assert ask("--mirror", tmp_path / "m")[0] == 0
    assert ask()[0] == 1


def test_a_rewritten_log_does_not_reach_the_copy(city: City, ask: Ask, tmp_path: Path) -> None:
    city.live(300)
    assert ask("--mirror", tmp_path / "m")[0] == 0
    shutil.rmtree(city.folder / "log")
    city.history = History(Random(9), minute=PAST)
    city.live(400)
    code, out = ask("--mirror", tmp_path / "m")
    assert code == 1 and "an earlier checkpoint of the same log has another root" in out
    assert "does not continue what this mirror holds" in out
    kept = Mirror(tmp_path / "m", KEY, max_entry_bytes=80)
    assert kept.checkpoint("2025-02") is not None and len(kept.seen.of(KEY)) == 2


def test_a_damaged_copy_is_told_from_a_damaged_log(city: City, ask: Ask, tmp_path: Path) -> None:
    city.live(300)
    ask("--mirror", tmp_path / "m")
    path = tmp_path / "m/2025-02/tile/entries/000"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    code, out = ask("--mirror", tmp_path / "m")
    assert code == 1 and "what is kept of 2025-02 is damaged" in out


def test_two_at_once(city: City, ask: Ask, tmp_path: Path) -> None:
    city.live(30)
    with_lock = Mirror(tmp_path / "m", KEY, max_entry_bytes=80).lock()
    import os

    code, out = ask("--mirror", tmp_path / "m")
    assert code == 1 and "another process" in out
    os.close(with_lock)


# ── periods ──────────────────────────────────────────────────────────────────────────────────────


def test_the_log_lists_its_periods(city: City, ask: Ask) -> None:
    city.live(300)
    city.close_period()
    code, out = ask("--json")
    assert code == 0 and json.loads(out)["leaves_read"] == 300 + len(city.history.leaves)


def test_entries_that_were_deleted_after_their_retention(city: City, ask: Ask, tmp_path: Path) -> None:
    city.live(300)
    city.close_period()
    assert ask("--mirror", tmp_path / "m")[0] == 0
    shutil.rmtree(city.folder / "log/2025-02/tile/entries")
    code, out = ask("--json")
    told = json.loads(out)
    assert code == 0 and told["without_entries"] == [ORIGIN] and told["adopted"] <= 1
    assert told["checks"]["tree"]["checked"] == 300 + told["leaves_read"] + 1
    assert "were deleted after their retention" in ask()[1]
    # Who kept them replays them.
    code, out = ask("--mirror", tmp_path / "m", "--json")
    assert code == 0 and json.loads(out)["without_entries"] == []
    # Their hashes must still lead to the root that was signed.
    path = city.folder / "log/2025-02/tile/0/000"
    path.write_bytes(bytes(32) + path.read_bytes()[32:])
    assert "what the log serves is not what it signed" in ask()[1]


@pytest.mark.parametrize("retention", [None, 10 * 366 * 86_400])
def test_entries_that_were_deleted_before_their_time(city: City, ask: Ask, retention: int | None) -> None:
    city.live(300)
    city.close_period(retention)
    assert ask()[0] == 0
    shutil.rmtree(city.folder / "log/2025-02/tile/entries")
    code, out = ask()
    assert code == 1 and f"the entries of {ORIGIN} are gone before the time that was published" in out


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"periods":[{"period":"../x"}]}', b'{"periods":[1]}'])
def test_a_list_of_periods_that_is_none(city: City, ask: Ask, content: bytes) -> None:
    city.live(10)
    (city.folder / "log/periods").write_bytes(content)
    code, out = ask()
    assert code == 1 and "cannot be believed" in out


# ── promises, numbers, latency ───────────────────────────────────────────────────────────────────


def test_promises(city: City, ask: Ask, tmp_path: Path) -> None:
    history = city.history
    grant, other = history.give(), history.give()
    kept, due = history.end(grant), (PAST + 10) * 60
    lines = [sign_promise(history.leaves[kept], due=due, key=KEY, signer=SIGNER)]
    history.end(other)
    missing = history.leaves.pop()
    city.write()
    path = tmp_path / "promises"
    path.write_text("\n".join(lines) + "\n")
    code, out = ask("--promise", path)
    assert code == 0 and "Log promises: 1 kept, 0 not due yet, 0 late, 0 broken." in out
    assert "with 10 minutes to spare in the middle, with 10 at least" in ask("--promise", path, "--latency")[1]
    assert json.loads(ask("--promise", path, "--json")[1])["promised_minutes_to_spare"]["max"] == 10
    later = sign_promise(missing, due=int(time.time()) + 600, key=KEY, signer=SIGNER)
    path.write_text("\n".join([*lines, later]))
    assert "1 kept, 1 not due yet" in ask("--promise", path)[1]
    broken = sign_promise(missing, due=due, key=KEY, signer=SIGNER)
    path.write_text("\n".join([*lines, broken]))
    code, out = ask("--promise", path)
    assert code == 1 and "a promise was broken" in out and "1 broken" in out
    for wrong in (
        "nonsense",
        broken[:-6] + "AAAAAA",
        sign_promise(missing, due=1, key=KEY.renamed("other/log/1"), signer=SIGNER),
    ):
        path.write_text(wrong)
        code, out = ask("--promise", path)
        assert code == 2 and "Nothing was audited" in out


def test_a_number_that_comes_to_mean_somebody_else(city: City, ask: Ask, tmp_path: Path) -> None:
    city.history.give()
    city.write()
    purposes = [{"iri": "https://w3id.org/dpv#ServiceProvision", "number": 1}]
    city.publish("services", {"services": [{"id": "urn:police", "number": 1}], "purposes": purposes})
    assert ask("--state", tmp_path / "s")[0] == 0
    city.publish("services", {"services": [{"id": "urn:social", "number": 1}], "purposes": purposes})
    assert ask()[0] == 0
    for _ in range(2):
        code, out = ask("--state", tmp_path / "s")
        assert code == 1 and "a number has changed its meaning: 1: urn:social; before: urn:police" in out
    city.publish("services", {"services": [], "purposes": purposes})
    assert "are not in the published list of numbers" in ask()[1]
    city.publish("services", {"services": [{"id": "a", "number": 1}, {"id": "b", "number": 1}], "purposes": []})
    assert "stands twice" in ask()[1]


def test_when_a_first_attempt_was_refused(city: City, ask: Ask) -> None:
    history = city.history
    for minutes in (0, 0, 0, 4):
        grant = history.give()
        history.end(grant)
        history.minute += minutes
        history.deny(grant)
    history.minute += 70
    history.deny(grant)
    city.write()
    code, out = ask("--latency")
    assert code == 0 and "4 seen; after 0 minutes in the middle, 4 (99 %), 4 at most" in out
    assert json.loads(ask("--json")[1])["minutes_to_first_refusal"] == {
        "counted": 4, "told_by_the_day": 0, "p50": 0, "p99": 4, "max": 4,
    }  # fmt: skip


# ── reconcile ────────────────────────────────────────────────────────────────────────────────────


class Tax(AuditedHolder):
    """What it states is published by the city; what it prints is a file."""

    def __init__(self, folder: Path, city: City) -> None:
        super().__init__(folder, ORIGIN, city.history)
        self.city = city

    def state(self, *, signer: SoftwareSigner | None = None) -> None:
        self.city.publish("journal-roots", {"roots": [self.statement(signer=signer)]})

    def print_records(self) -> Path:
        path = self.folder / "records.json"
        path.write_bytes(self.printed())
        return path

    @property
    def trust(self) -> tuple[str | Path, ...]:
        return "--registry", self.folder / "list", "--anchor", self.folder / "registry.pem"


@pytest.fixture
def tax(city: City, tmp_path: Path) -> Tax:
    grant = city.history.give()
    for _ in range(4):
        city.history.use(grant)
    city.write()
    folder = tmp_path / "tax"
    folder.mkdir()
    return Tax(folder, city)


def test_reconciled(tax: Tax, ask: Ask, tmp_path: Path) -> None:
    tax.state()
    code, out = ask(*tax.trust, command="reconcile")
    assert code == 0 and "Log and data holders tell the same." in out and "only sums were compared" in out
    code, out = ask(
        *tax.trust, "--records", tax.print_records(), "--mirror", tmp_path / "m", "--json", command="reconcile"
    )
    told = json.loads(out)
    assert code == 0 and (told["state"], told["leaves"], told["records"], told["days"]) == ("passed", 4, 4, 1)
    assert ask(*tax.trust, "--day", "2025-01-01", command="reconcile")[0] == 0
    code, out = ask(*tax.trust, "--day", day_text(int(time.time()) // 86_400), command="reconcile")
    assert code == 0 and "Nothing was compared" in out


@pytest.mark.parametrize(("language", "sentence"), [
    ("en", "Log and data holders do NOT tell the same."), ("es", "NO dicen lo mismo"), ("ca", "NO diuen el mateix"),
])  # fmt: skip
def test_a_release_that_was_not_logged(tax: Tax, ask: Ask, language: str, sentence: str) -> None:
    tax.records.append(LeafRecord(ORIGIN, 77, tax.day, Kind.USE, base64url.encode(bytes(16)), 9))
    tax.state()
    code, out = ask(*tax.trust, "--records", tax.print_records(), "--lang", language, command="reconcile")
    assert code == 1 and sentence in out and day_text(tax.day) in out and TAX in out


def test_a_use_that_was_not_released(tax: Tax, ask: Ask) -> None:
    tax.records.pop()
    tax.state()
    code, out = ask(*tax.trust, "--records", tax.print_records(), "--json", command="reconcile")
    told = json.loads(out)
    assert code == 1 and told["counts"] == {"day-sum": 1, "use-not-released": 1}
    assert told["faults"][1]["leaf_index"] == 4


def test_a_statement_that_its_data_holder_did_not_sign(tax: Tax, ask: Ask) -> None:
    tax.state(signer=SoftwareSigner.generate())
    code, out = ask(*tax.trust, command="reconcile")
    assert code == 1 and "Nothing could be compared" in out
    assert json.loads(ask(*tax.trust, "--json", command="reconcile")[1])["error"] == "refused"


def test_what_makes_no_sense(tax: Tax, ask: Ask, tmp_path: Path) -> None:
    assert ask(*tax.trust, command="reconcile")[0] == 1, "no statements are served"
    tax.state()
    for more in (
        ("--day", "yesterday"),
        ("--records", tmp_path / "none"),
        ("--records", __file__),
        ("--anchor", __file__),
        ("--registry", "http://elsewhere.example/registry"),
    ):
        assert ask(*tax.trust, *more, command="reconcile")[0] == 2
