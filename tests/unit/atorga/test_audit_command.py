"""``atorga audit``: over HTTP, against logs that are right, damaged, rewritten, forked and unreachable."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from string import Formatter
from threading import Thread, Timer

import pytest

import atorga
from atorga import cli, http_log
from atorga.audit_words import Words, load
from atorga.http_log import HttpLog
from consent.errors import LogError
from consent.ledger.findings import Finding, Invariant
from consent.ledger.leaf import Kind
from consent.log import note
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_history import History, random_history

LANGUAGES = ("es", "ca", "en")
ORIGIN = "log.example/log/2026"
SIGNER, WITNESS = Ed25519Signer(bytes(32)), Ed25519Signer(bytes([7]) * 32)
VKEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public).format()
WITNESS_KEY = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS.public)
PAST = 29_000_000
"""A minute of 2025: the command goes by the machine's clock."""


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class City:
    """What a consent service serves below ``/log/``."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder / "log"
        self.url = url

    def write(self, history: History, *, origin: str = ORIGIN, folder: Path | None = None) -> None:
        log = LogWriter(folder or self.folder, origin, SIGNER)
        log.append(history.entries[log.size :])
        log.close()

    def cosign(self) -> None:
        log = LogWriter(self.folder, ORIGIN, SIGNER)
        text = note.parse(log.signed_checkpoint).text
        at = (PAST + 60 * 24 * 60) * 60
        log.add_cosignatures(log.size, [note.cosign(text, WITNESS_KEY.name, WITNESS.public, WITNESS, now=at)])
        log.close()


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    folder = tmp_path / "city"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder)))
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield City(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


@pytest.fixture
def history() -> History:
    return random_history_of_the_past(5, 300)


def random_history_of_the_past(seed: int, leaves: int) -> History:
    history = History(Random(seed), minute=PAST)
    while len(history.leaves) < leaves:
        history.step()
    return history


Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(city: City, capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*more: str, vkey: str = VKEY, url: str | None = None) -> tuple[int, str, str]:
        code = cli.main(["audit", url or city.url, "--vkey", vkey, "--lang", "en", *more])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_log_that_is_right(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    code, out, err = ask()
    assert code == 0 and err == ""
    assert "Everything that the log can show holds." in out and "Not witnessed" in out
    assert "✗" not in out


def test_the_line_for_programs(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    code, out, _ = ask("--json")
    assert code == 0 and out.count("\n") == 1
    found = json.loads(out)
    assert (found["state"], found["size"], found["leaves_read"]) == ("passed", 300, 300)
    assert found["witnessed"] is False and found["findings"] == [] and found["log"] == ORIGIN
    assert found["checks"]["tree"] == {"checked": 300, "violations": 0}
    assert set(found["checks"]) == {invariant.value for invariant in Invariant}
    assert sum(found["kinds"].values()) == 300


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("es", "un USO de un permiso que había terminado en el asiento 1"),
        ("ca", "un ÚS d’un permís que s’havia acabat a l’assentament 1"),
        ("en", "Entry 2: a USE of a grant that had ended at entry 1"),
    ],
)
def test_a_use_after_withdrawal(city: City, ask: Ask, language: str, sentence: str) -> None:
    history = History(Random(1), minute=PAST)
    grant = history.give()
    history.end(grant)
    history.use(grant)
    city.write(history)
    code, out, _ = ask("--lang", language)
    assert code == 1 and sentence in out and Words(language)("failed") in out
    code, out, _ = ask("--json")
    assert code == 1
    (finding,) = json.loads(out)["findings"]
    assert finding == {
        "invariant": "ending", "code": "use-after-ending", "log": ORIGIN, "leaf_index": 2,
        "found": "use", "expected": 1,
    }  # fmt: skip


def test_many_findings_are_not_all_shown(city: City, ask: Ask) -> None:
    history = History(Random(1), minute=PAST)
    grant = history.give()
    history.end(grant)
    for _ in range(1_050):
        history.use(grant)
    city.write(history)
    code, out, _ = ask()
    assert code == 1 and "… and 1,030 more." in out and out.count("Entry ") == 20


def test_a_flipped_byte(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    target = city.folder / "tile/entries/000"
    content = bytearray(target.read_bytes())
    content[8_000] ^= 1
    target.write_bytes(content)
    code, out, _ = ask()
    assert code == 1 and "Entry 0: what the log serves is not what it signed (entry 97" in out


def test_an_edited_size(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    path = city.folder / "checkpoint"
    path.write_text(path.read_text().replace("\n300\n", "\n299\n"))
    code, out, _ = ask()
    assert code == 1 and "cannot be believed" in out
    code, out, _ = ask("--json")
    assert code == 1 and json.loads(out)["error"] == "log_refused"


def test_another_key(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    code, out, _ = ask(vkey=NoteKey(ORIGIN, note.ED25519, WITNESS.public).format())
    assert code == 1 and "cannot be believed" in out


def test_a_rewritten_log_is_noticed_by_who_came_before(city: City, history: History, ask: Ask, tmp_path: Path) -> None:
    city.write(history)
    state = str(tmp_path / "state")
    assert ask("--state", state)[0] == 0
    assert ask("--state", state)[0] == 0
    shutil.rmtree(city.folder)
    city.write(random_history_of_the_past(6, 400))
    assert ask()[0] == 0
    code, out, _ = ask("--state", state)
    assert code == 1 and "Entry 300: an earlier checkpoint of the same log has another root" in out


def test_two_logs_are_noticed_by_what_another_was_shown(city: City, history: History, ask: Ask, tmp_path: Path) -> None:
    other = LogWriter(tmp_path / "other", ORIGIN, SIGNER)
    other.append(random_history(6, 10).entries)
    (tmp_path / "receipt").write_text(other.prove(2))
    (tmp_path / "checkpoint").write_text(other.signed_checkpoint)
    other.close()
    city.write(history)
    for name in ("receipt", "checkpoint"):
        code, out, _ = ask("--checkpoint", str(tmp_path / name))
        assert code == 1 and "Entry 10: an earlier checkpoint" in out


def test_witnesses(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    named = ("--witness", WITNESS_KEY.format())
    code, out, _ = ask(*named)
    assert code == 0 and "Not witnessed" in out
    code, out, _ = ask(*named, "--quorum", "1", "--wait", "0")
    assert code == 1 and "is not witnessed as you ask" in out and "0 of your witnesses cosigned" in out
    city.cosign()
    code, out, _ = ask(*named, "--quorum", "1")
    assert code == 0 and "seen by witness.example on 2025-04-" in out and "Witnessed:" in out
    assert json.loads(ask(*named, "--json")[1])["witnessed"] is True
    assert "Not witnessed" in ask()[1]


def test_a_policy_names_the_quorum(city: City, history: History, ask: Ask, tmp_path: Path) -> None:
    city.write(history)
    path = tmp_path / "policy"
    other = NoteKey("other.example", note.COSIGNATURE_V1, Ed25519Signer(bytes([8]) * 32).public)
    lines = [f"witness ours {WITNESS_KEY.format()}", f"witness other {other.format()}"]
    path.write_text("\n".join([*lines, "group any any ours other", "quorum any", ""]))
    policy = ("--policy", str(path))
    assert ask(*policy, "--wait", "0")[0] == 1
    city.cosign()
    code, out, _ = ask(*policy)
    assert code == 0 and "Witnessed:" in out
    path.write_text("\n".join([*lines, "group both all ours other", "quorum both", ""]))
    assert ask(*policy, "--wait", "0")[0] == 1
    for wrong in ("quorum none\n", "nonsense\n", ""):
        path.write_text(wrong)
        assert ask(*policy)[0] == 2
    assert ask(*policy, "--witness", WITNESS_KEY.format())[0] == 2


def test_a_cosignature_that_is_on_its_way(city: City, history: History, ask: Ask) -> None:
    city.write(history)
    late = Timer(0.3, city.cosign)
    late.start()
    assert ask("--witness", WITNESS_KEY.format(), "--quorum", "1", "--wait", "20")[0] == 0
    late.join()


def test_the_period_of_the_pinned_key_is_read_first(city: City, history: History, ask: Ask) -> None:
    city.write(history, folder=city.folder / "2026")
    closed = note.parse((city.folder / "2026/checkpoint").read_text()).text
    later = History(Random(9), minute=history.minute, live=history.live, ended=history.ended)
    later.previous(closed)
    for _ in range(50):
        later.step()
    city.write(later, origin="log.example/log/2027")
    code, out, _ = ask("--json")
    assert code == 0 and json.loads(out)["leaves_read"] == 300 + len(later.leaves)
    later_key = NoteKey("log.example/log/2027", note.ED25519, SIGNER.public).format()
    code, out, _ = ask(vkey=later_key)
    assert code == 1 and "name it with --period" in out
    assert ask("--period", "2026", vkey=later_key)[0] == 0
    shutil.copytree(city.folder / "2026", city.folder / "2025")
    code, out, _ = ask("--period", "2025")
    assert code == 1 and "under the address of log.example/log/2025 lies another one" in out


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://log.example"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "127.0.0.1"},
        {"vkey": "no key"},
        {"more": ("--witness", VKEY)},
        {"more": ("--quorum", "1")},
        {"more": ("--witness", WITNESS_KEY.format(), "--quorum", "2")},
        {"more": ("--period", "../..")},
        {"more": ("--checkpoint", "/nowhere")},
        {"more": ("--checkpoint", __file__)},
    ],
    ids=str,
)
def test_questions_that_make_no_sense(ask: Ask, wrong: dict[str, object]) -> None:
    more = wrong.pop("more", ())
    assert isinstance(more, tuple)
    code, out, err = ask(*more, **wrong)
    assert code == 2 and out == "" and "Nothing was audited" in err


# ── what a host may answer ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bytes], HttpLog]]:
    import httpx

    monkeypatch.setattr(http_log, "PAUSE_SECONDS", 0)
    opened: list[HttpLog] = []

    def make(status: int, body: bytes = b"") -> HttpLog:
        def respond(request: httpx.Request) -> httpx.Response:
            if status == 0:
                raise httpx.ConnectError("refused", request=request)
            return httpx.Response(status, content=body, headers={"Location": "http://elsewhere.example"})

        log = HttpLog("https://log.example", transport=httpx.MockTransport(respond))
        opened.append(log)
        return log

    yield make
    for log in opened:
        log.__exit__()


@pytest.mark.parametrize(
    ("status", "said"),
    [(0, "cannot be reached"), (500, "answered 500"), (301, "answered 301"), (200, "more than 3 bytes")],
)
def test_answers_that_are_no_file(answering: Callable[[int, bytes], HttpLog], status: int, said: str) -> None:
    fetch = answering(status, b"long").below("log/")
    with pytest.raises(LogError, match=said):
        fetch("checkpoint", 3)


def test_a_file_that_is_not_there(answering: Callable[[int, bytes], HttpLog]) -> None:
    assert answering(404, b"").below("log/")("checkpoint", 3) is None
    assert answering(200, b"abc").below("log/")("checkpoint", 3) == b"abc"


# ── words ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_things(language: str) -> None:
    def places(sentence: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(sentence) if name}

    english = load("en")
    assert load(language).keys() == english.keys()
    for key, sentence in load(language).items():
        # A language may leave out a value that a sentence does not need, never use another.
        assert sentence.strip() and places(sentence) <= places(english[key]) | {"found", "expected"}, key


def test_every_invariant_kind_and_finding_has_its_sentence() -> None:
    keys = load("en").keys()
    root = Path(atorga.__file__).parents[1]
    code = "".join((root / "consent/ledger" / name).read_text() for name in ("audit.py", "replay.py", "numbers.py"))
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+|damaged|longer)"', code))
    codes |= {"promise-broken", "promise-late", "mirror-not-continued"}
    assert len(codes) > 25
    expected = {f"finding.{one}" for one in codes} | {f"kind.{kind.word}" for kind in Kind}
    expected |= {f"invariant.{invariant.value}" for invariant in Invariant}
    assert {key for key in keys if key.startswith(("finding.", "kind.", "invariant."))} == expected


def test_values_are_told_as_people_say_them() -> None:
    def tell(code: str, found: int | str, expected: int | str, language: str = "en") -> str:
        return Words(language).finding(Finding(Invariant.MINUTES, code, ORIGIN, 1_234, found, expected))

    assert tell("minute-falls", 29_921_918, 29_921_919) == (
        "Entry 1,234: its minute, 2026-11-22 02:38 UTC, is before 2026-11-22 02:39 UTC, which an earlier entry has"
    )
    assert "on 2026-11-22 of a grant that ended on 2026-11-21" in tell("use-after-end-day", 2_517, 2_516)
    assert tell("record-after-ending", "pause", 5_000, "ca").startswith("Assentament 1.234: un apunt del tipus «pausa»")
    assert "1844674407370955161" in Words("en").time(2**64 // 10)
