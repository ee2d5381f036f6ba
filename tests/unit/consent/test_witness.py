"""A witness: what it cosigns, each thing it refuses, and that it never cosigns two histories."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from consent.errors import (
    LogError,
    LogInUse,
    NotConsistent,
    NotCosigned,
    NotSignedByLog,
    OldSizeDiffers,
    SubmissionMalformed,
    UnknownLog,
)
from consent.log import durable, merkle, note, witness
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey
from consent.log.quorum import Quorum
from consent.log.submission import MAX_SUBMISSION_BYTES, Submission, format_submission
from consent.log.witness import Witness, log_and_its_periods
from consent.log.witness_app import witness_app
from consent.log.witness_client import Answer, HttpPost, WitnessClient
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

NOW = 1_795_315_110
ORIGIN = "log.example/log/2026"
LOG_SIGNER, WITNESS_SIGNER, OTHER = (Ed25519Signer(bytes([n]) * 32) for n in (1, 2, 3))
LOG_KEY = NoteKey(ORIGIN, note.ED25519, LOG_SIGNER.public)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    opened = LogWriter(tmp_path / "log", ORIGIN, LOG_SIGNER)
    yield opened
    opened.close()


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Witness]:
    opened = a_witness(tmp_path)
    yield opened
    opened.close()


def a_witness(folder: Path) -> Witness:
    return Witness(
        folder / "witness", "witness.example", WITNESS_SIGNER, log_keys=log_and_its_periods(LOG_KEY), clock=lambda: NOW
    )


def grow(log: LogWriter, count: int) -> str:
    log.append([b"entry %d" % (log.size + n) for n in range(count)])
    return log.signed_checkpoint


def checkpoint(size: int, root: bytes, origin: str = ORIGIN, signer: Ed25519Signer = LOG_SIGNER) -> str:
    text = Checkpoint(origin, size, root).format()
    return note.UnverifiedNote(text, (note.sign(text, origin, signer.public, signer),)).format()


def cosigned(signed: str, signature: note.Signature, key: NoteKey) -> int | None:
    return note.verify_cosignature(note.parse(signed).with_signatures([signature]), key)


def test_it_cosigns_what_grows(log: LogWriter, at: Witness) -> None:
    old = 0
    for count in (1, 3, 300, 70_000):
        signed = grow(log, count)
        signature = at.add_checkpoint(format_submission(old, log.prove_consistency(old), signed))
        assert cosigned(signed, signature, at.key) == NOW
        old = log.size


def test_the_same_checkpoint_again(log: LogWriter, at: Witness) -> None:
    signed = grow(log, 5)
    first = at.add_checkpoint(format_submission(0, [], signed))
    assert at.add_checkpoint(format_submission(5, [], signed)) == first


def test_an_empty_tree(log: LogWriter, at: Witness) -> None:
    assert cosigned(log.signed_checkpoint, at.add_checkpoint(format_submission(0, [], log.signed_checkpoint)), at.key)
    with pytest.raises(NotConsistent):
        at.add_checkpoint(format_submission(0, [], checkpoint(0, bytes(32))))


def test_an_unknown_old_size(log: LogWriter, at: Witness) -> None:
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    signed = grow(log, 2)
    for old in (0, 2, 5):
        with pytest.raises(OldSizeDiffers) as fault:
            at.add_checkpoint(format_submission(old, log.prove_consistency(old), signed))
        assert fault.value.size == 3


def test_forks_are_not_cosigned(log: LogWriter, at: Witness, tmp_path: Path) -> None:
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    other = LogWriter(tmp_path / "other", ORIGIN, LOG_SIGNER)
    other.append([b"another history"] * 3)
    with pytest.raises(NotConsistent):
        at.add_checkpoint(format_submission(3, [], other.signed_checkpoint))
    other.append([b"longer"] * 5)
    with pytest.raises(NotConsistent):
        at.add_checkpoint(format_submission(3, other.prove_consistency(3), other.signed_checkpoint))
    other.close()
    signed = grow(log, 4)
    for proof in ([], [bytes(32)], [*log.prove_consistency(3), bytes(32)]):
        with pytest.raises(NotConsistent):
            at.add_checkpoint(format_submission(3, proof, signed))
    at.add_checkpoint(format_submission(3, log.prove_consistency(3), signed))


def test_a_proof_from_nothing_is_empty(log: LogWriter, at: Witness) -> None:
    with pytest.raises(NotConsistent):
        at.add_checkpoint(format_submission(0, [bytes(32)], grow(log, 3)))


def test_foreign_logs(log: LogWriter, at: Witness) -> None:
    root = merkle.leaf_hash(b"")
    for origin in (
        "other.example/log/2026",
        "log.example/log",
        "log.example/log/2026/x",
        "log.example/log/seventeen-letters",
    ):
        with pytest.raises(UnknownLog):
            at.add_checkpoint(format_submission(0, [], checkpoint(1, root, origin)))
    with pytest.raises(NotSignedByLog):
        at.add_checkpoint(format_submission(0, [], checkpoint(1, root, signer=OTHER)))
    wrong = note.parse(checkpoint(1, root))
    flipped = note.Signature(ORIGIN, LOG_KEY.key_id, bytes(64))
    with pytest.raises(NotSignedByLog):
        at.add_checkpoint(format_submission(0, [], note.UnverifiedNote(wrong.text, (flipped,)).format()))


def test_another_period_of_the_log_is_a_log_of_its_own(log: LogWriter, at: Witness) -> None:
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    later = checkpoint(1, merkle.leaf_hash(b""), "log.example/log/2027")
    assert cosigned(later, at.add_checkpoint(format_submission(0, [], later)), at.key)


GOOD = format_submission(0, [bytes(32)], checkpoint(3, bytes(32)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        GOOD.replace(b"old 0", b"old 00"),
        GOOD.replace(b"old 0", b"old -1"),
        GOOD.replace(b"old 0", b"old  0"),
        GOOD.replace(b"old 0", b"new 0"),
        GOOD.replace(b"old 0", b"old 0 "),
        GOOD.replace(b"old 0\n", b"old 0\r\n"),
        GOOD.replace(b"A=\n", b"B=\n", 1),
        GOOD.replace(b"A=\n", b"A\n", 1),
        GOOD.replace(b"\n3\n", b"\n03\n"),
        GOOD[:-1],
        GOOD + b"x",
        GOOD.replace(b"log.example", b"log\xff.example"),
        format_submission(0, [bytes(31)], checkpoint(3, bytes(32))),
        format_submission(0, [bytes(32)] * 64, checkpoint(3, bytes(32))),
        format_submission(4, [], checkpoint(3, bytes(32))),
        format_submission(0, [], checkpoint(3, bytes(32)).replace("\n3\n", f"\n{'9' * 17_000}\n")),
        b"x" * (MAX_SUBMISSION_BYTES + 1),
    ],
)  # fmt: skip
def test_malformed(at: Witness, body: bytes) -> None:
    with pytest.raises(SubmissionMalformed):
        at.add_checkpoint(body)


def test_submissions_round_trip() -> None:
    parsed = Submission.parse(GOOD)
    assert format_submission(parsed.old, parsed.proof, parsed.note.format()) == GOOD


def test_it_remembers_across_restarts(log: LogWriter, at: Witness, tmp_path: Path) -> None:
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    with pytest.raises(LogInUse):
        a_witness(tmp_path)
    at.close()
    again = a_witness(tmp_path)
    with pytest.raises(OldSizeDiffers) as fault:
        again.add_checkpoint(format_submission(0, [], grow(log, 1)))
    assert fault.value.size == 3
    again.close()


def test_a_damaged_memory_cosigns_nothing(log: LogWriter, at: Witness, tmp_path: Path) -> None:
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    (kept,) = (tmp_path / "witness").glob("*/checkpoint")
    good = kept.read_text()
    for bad in (good.replace("\n3\n", "\n1\n"), good[:40], "", checkpoint(1, bytes(32))):
        kept.write_text(bad)
        with pytest.raises(LogError) as fault:
            at.add_checkpoint(format_submission(1, [], checkpoint(1, bytes(32))))
        assert type(fault.value) is LogError


def test_nothing_is_cosigned_that_could_not_be_kept(
    log: LogWriter, at: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(durable, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    monkeypatch.undo()
    with pytest.raises(OldSizeDiffers):
        at.add_checkpoint(format_submission(3, [], log.signed_checkpoint))


def test_of_two_histories_at_once_one_is_cosigned(at: Witness) -> None:
    roots = [bytes([n]) * 32 for n in range(16)]
    done: list[bytes] = []
    gate = threading.Barrier(len(roots))

    def submit(root: bytes) -> None:
        gate.wait()
        try:
            at.add_checkpoint(format_submission(0, [], checkpoint(3, root)))
        except OldSizeDiffers:
            return
        done.append(root)

    threads = [threading.Thread(target=submit, args=[root]) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1


def test_periods() -> None:
    keys = log_and_its_periods(NoteKey("one", note.ED25519, LOG_SIGNER.public))
    assert keys("one") is not None and keys("two") is None


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────


def test_statuses(log: LogWriter, at: Witness) -> None:
    client = TestClient(witness_app(at))
    signed = grow(log, 3)
    assert client.post("/add-checkpoint", content=b"no").status_code == 400
    assert client.post("/add-checkpoint", content=b"x" * (MAX_SUBMISSION_BYTES + 1)).status_code == 413
    root = bytes(32)
    for status, text in ((403, checkpoint(1, root, signer=OTHER)), (404, checkpoint(1, root, "other.example"))):
        assert client.post("/add-checkpoint", content=format_submission(0, [], text)).status_code == status
    answer = client.post("/add-checkpoint", content=format_submission(0, [], signed))
    assert answer.status_code == 200 and answer.text.startswith("— witness.example ") and answer.text.endswith("\n")
    conflict = client.post("/add-checkpoint", content=format_submission(0, [], signed))
    assert (conflict.status_code, conflict.text) == (409, "3\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    fork = format_submission(3, [], checkpoint(3, root))
    assert client.post("/add-checkpoint", content=fork).status_code == 422
    assert client.get("/add-checkpoint").status_code == 405


def test_a_witness_that_cannot_keep_says_so(log: LogWriter, at: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(durable, "replace", full)
    answer = TestClient(witness_app(at)).post("/add-checkpoint", content=format_submission(0, [], grow(log, 1)))
    assert answer.status_code == 503 and "disk" not in answer.text


def test_monitors_get_the_newest_cosigned_checkpoint(log: LogWriter, at: Witness) -> None:
    client = TestClient(witness_app(at))
    path = f"/{witness._origin_hash(ORIGIN)}/checkpoint"
    assert client.get(path).status_code == 404
    at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    kept = note.parse(client.get(path).text)
    note.verify(kept, LOG_KEY)
    assert note.verify_cosignature(kept, at.key) == NOW
    for other in ("x", "..", "0" * 63, "A" * 64):
        assert client.get(f"/{other}/checkpoint").status_code == 404


# ── the log's side ───────────────────────────────────────────────────────────────────────────────


def client_of(at: Witness, asked: list[int] | None = None) -> WitnessClient:
    http = TestClient(witness_app(at))

    def post(url: str, body: bytes) -> Answer:
        answer = http.post(url.removeprefix("http://witness"), content=body)
        if asked is not None:
            asked.append(answer.status_code)
        return Answer(answer.status_code, answer.headers["content-type"].partition(";")[0], answer.content)

    return WitnessClient("http://witness/", at.key, post)


def test_the_client_starts_from_what_the_witness_knows(log: LogWriter, at: Witness) -> None:
    first = grow(log, 3)
    asked: list[int] = []
    client = client_of(at, asked)
    assert cosigned(first, client.cosign(first, log.prove_consistency), at.key) == NOW
    client.cosign(grow(log, 4), log.prove_consistency)
    assert asked == [200, 200]
    signed = grow(log, 2)
    client_of(at, asked).cosign(signed, log.prove_consistency)
    assert asked == [200, 200, 409, 200]


def test_a_checkpoint_that_the_log_has_outgrown(log: LogWriter, at: Witness) -> None:
    client = client_of(at)
    client.cosign(grow(log, 3), log.prove_consistency)
    middle = grow(log, 300)
    grow(log, 50)
    client.cosign(middle, lambda old: log.prove_consistency(old, 303))
    client.cosign(log.signed_checkpoint, log.prove_consistency)


def test_a_witness_that_knows_more(log: LogWriter, at: Witness) -> None:
    early = grow(log, 3)
    client_of(at).cosign(grow(log, 4), log.prove_consistency)
    with pytest.raises(NotCosigned, match="cosigned 7 entries, this log has 3"):
        client_of(at).cosign(early, lambda old: log.prove_consistency(old, 3))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, "text/plain", b""),
        Answer(404, "text/plain", b""),
        Answer(422, "text/plain", b""),
        Answer(302, "text/plain", b""),
        Answer(409, "text/plain", b"3\n"),
        Answer(409, "text/x.tlog.size", b"3"),
        Answer(409, "text/x.tlog.size", b"03\n"),
        Answer(409, "text/x.tlog.size", b"1\n"),
        Answer(200, "text/plain", b""),
        Answer(200, "text/plain", b"no signature\n"),
        Answer(200, "text/plain", b"\xff\n"),
        Answer(200, "text/plain", b"x" * 70_000),
        Answer(200, "text/plain", note.Signature("witness.example", b"\0\0\0\0", bytes(72)).format().encode()),
    ],
    ids=lambda answer: f"{answer.status}-{answer.body[:12]!r}",
)
def test_wrong_answers(log: LogWriter, answer: Answer) -> None:
    key = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS_SIGNER.public)
    asked: list[bytes] = []

    def post(_: str, body: bytes) -> Answer:
        asked.append(body)
        return answer

    with pytest.raises(NotCosigned):
        WitnessClient("http://witness", key, post).cosign(grow(log, 3), log.prove_consistency)
    assert len(asked) <= 3


def test_a_cosignature_of_something_else(log: LogWriter) -> None:
    key = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS_SIGNER.public)
    signed = grow(log, 3)
    text = note.parse(signed).text
    for other in (
        note.cosign(text.replace("\n3\n", "\n4\n"), key.name, key.public, WITNESS_SIGNER, now=NOW),
        note.cosign(text, key.name, key.public, WITNESS_SIGNER, now=0),
        note.cosign(text, key.name, OTHER.public, OTHER, now=NOW),
        note.sign(text, key.name, key.public, WITNESS_SIGNER),
    ):
        answer = Answer(200, "text/plain", other.format().encode())
        client = WitnessClient("http://witness", key, lambda *_, answer=answer: answer)
        with pytest.raises(NotCosigned):
            client.cosign(signed, log.prove_consistency)


def test_a_log_key_is_no_witness_key() -> None:
    with pytest.raises(LogError, match="cosignature key"):
        WitnessClient("http://witness", LOG_KEY, lambda *_: Answer(200, "", b""))


def test_nobody_answers() -> None:
    post = HttpPost(timeout_seconds=0.5)
    with pytest.raises(NotCosigned, match="cannot be reached"):
        post("http://127.0.0.1:1/add-checkpoint", b"")
    post.close()


# ── cosignatures on the log's own checkpoint, and who counts them ────────────────────────────────


def test_cosignatures_are_served_and_survive(log: LogWriter, at: Witness, tmp_path: Path) -> None:
    signature = at.add_checkpoint(format_submission(0, [], grow(log, 3)))
    log.add_cosignatures(3, [signature])
    log.add_cosignatures(3, [signature])
    quorum = Quorum((at.key,), 1)
    for name in ("checkpoint", "checkpoint.3"):
        assert quorum.times(note.parse((tmp_path / "log" / name).read_text())) == {"witness.example": NOW}
    assert len(note.parse(log.signed_checkpoint).signatures) == 2
    log.close()
    again = LogWriter(tmp_path / "log", ORIGIN, LOG_SIGNER)
    assert quorum.met(note.parse(again.signed_checkpoint))
    grow(again, 2)
    again.add_cosignatures(3, [signature])
    assert not quorum.met(note.parse((tmp_path / "log" / "checkpoint").read_text()))
    assert again.size == 5
    again.close()


def test_quorums() -> None:
    keys = [NoteKey(f"w{n}", note.COSIGNATURE_V1, signer.public) for n, signer in enumerate((WITNESS_SIGNER, OTHER))]
    text = Checkpoint(ORIGIN, 3, bytes(32)).format()
    by_first = note.cosign(text, "w0", WITNESS_SIGNER.public, WITNESS_SIGNER, now=NOW)
    by_second = note.cosign(text, "w1", OTHER.public, OTHER, now=NOW)
    plain = note.parse(checkpoint(3, bytes(32)))
    one, both = Quorum(tuple(keys), 1), Quorum(tuple(keys), 2)
    assert not one.met(plain)
    assert one.met(plain.with_signatures([by_first])) and not both.met(plain.with_signatures([by_first, by_first]))
    assert both.met(plain.with_signatures([by_first, by_second]))
    with pytest.raises(LogError):
        one.met(plain.with_signatures([note.Signature("w0", keys[0].key_id, bytes(72))]))


@pytest.mark.parametrize(
    ("names", "threshold"), [([], 0), ([], 1), (["w0"], 0), (["w0"], 2), (["w0", "w1"], 1), (["log"], 1)]
)
def test_quorums_that_say_nothing(names: list[str], threshold: int) -> None:
    kinds = {"w0": note.COSIGNATURE_V1, "w1": note.COSIGNATURE_V1, "log": note.ED25519}
    with pytest.raises(LogError, match="quorum"):
        Quorum(tuple(NoteKey(name, kinds[name], WITNESS_SIGNER.public) for name in names), threshold)


def test_two_witnesses_of_one_name() -> None:
    keys = tuple(NoteKey("w", note.COSIGNATURE_V1, signer.public) for signer in (WITNESS_SIGNER, OTHER))
    with pytest.raises(LogError, match="twice"):
        Quorum(keys, 1)
