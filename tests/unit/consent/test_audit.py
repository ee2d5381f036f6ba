"""The auditor: an honest log passes, and each way to cheat is found and named by its place.

Dishonest logs are written by the honest writer from dishonest leaves, so that everything but the
one thing is right; damage is done to the files of an honest log afterwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from consent.errors import LogError
from consent.ledger.audit import AuditReport, PeriodLog, audit
from consent.ledger.findings import MAX_FINDINGS, Invariant
from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind
from consent.log import checkpoint, note
from consent.log.checkpoint import Checkpoint, VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.quorum import Quorum
from consent.log.reader import LogReader, from_folder, verify_period
from consent.log.seen import SeenCheckpoint, SeenCheckpoints, read_checkpoint
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_history import START_MINUTE, History, random_history

ORIGIN = "log.example/log/2026"
SIGNER, WITNESS, OTHER = (Ed25519Signer(bytes([n]) * 32) for n in (1, 2, 3))
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
WITNESS_KEY = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS.public)
ONE_WITNESS = Quorum((WITNESS_KEY,), 1)
NOW = (START_MINUTE + 10 * 366 * 24 * 60) * 60


def write(folder: Path, entries: Sequence[bytes], *, batch: int = 10_000, origin: str = ORIGIN) -> VerifiedCheckpoint:
    log = LogWriter(folder, origin, SIGNER)
    for at in range(0, len(entries), batch):
        log.append(entries[at : at + batch])
    log.close()
    return checkpoint.verify(log.signed_checkpoint, log.key)


def check(
    folder: Path,
    *,
    seen: Sequence[SeenCheckpoint] = (),
    quorum: Quorum | None = None,
    required: bool = False,
    now: int = NOW,
) -> AuditReport:
    reader = LogReader(from_folder(folder), KEY, max_entry_bytes=80)
    logs = [PeriodLog(reader, reader.checkpoint())]
    return audit(logs, seen=seen, quorum=quorum, quorum_required=required, now=now)


def found(report: AuditReport) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.leaf_index) for finding in report.findings]


def honest() -> History:
    """One grant that does everything, and one that lives."""
    history = History(Random(1))
    history.other(Kind.DECLARE)
    history.other(Kind.REQUEST)
    grant = history.give(mask=0b111, max_uses=3)  # leaf 2
    history.use(grant, 0b101)
    history.minute += 5
    history.pause(grant)
    history.deny(grant)
    history.resume(grant)  # 6
    history.amend(grant, mask=0b110, days_less=10, max_uses=2)
    history.use(grant, 0b010)  # 8
    other = history.give(mask=1, days=1)
    history.end(grant)  # 10
    history.minute += 60
    history.deny(grant)
    history.end(grant, Kind.ERASE)
    history.use(other)  # 13
    return history


def changed(history: History, index: int, **fields: Any) -> History:
    history.leaves[index] = replace(history.leaves[index], **fields)
    return history


def test_an_honest_log_passes(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    report = check(tmp_path)
    assert report.passed and report.findings == () and not report.witnessed
    assert report.leaves_read == 14
    assert report.kinds[Kind.USE] == 3 and report.kinds[Kind.DENY] == 2
    assert report.grants == {"live": 1, "ended": 1}
    checked = {invariant: checks for invariant, (checks, _) in report.counts.items()}
    assert checked[Invariant.TREE] == checked[Invariant.FORM] == checked[Invariant.EMPTY_FIELDS] == 14
    uses = (Invariant.PAUSE, Invariant.ATTRIBUTES, Invariant.MAX_USES, Invariant.END_DAY)
    assert all(checked[invariant] == 3 for invariant in uses)
    assert checked[Invariant.COUNTER] == 14 and checked[Invariant.NARROWING] == 3
    assert checked[Invariant.CONTINUATION] == checked[Invariant.WITNESS_TIMES] == checked[Invariant.WITNESSES] == 0


def test_a_long_log_passes(tmp_path: Path) -> None:
    write(tmp_path, random_history(5, 70_000).entries, batch=35_000)
    report = check(tmp_path)
    assert report.passed and report.leaves_read == 70_000


def test_an_empty_log_passes(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert check(tmp_path).passed


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1_000])
@pytest.mark.parametrize("batch", [256, 97])
def test_sizes(tmp_path: Path, size: int, batch: int) -> None:
    history = random_history(size, size)
    write(tmp_path, history.entries, batch=batch)
    report = check(tmp_path)
    assert report.passed, report.findings[:3]
    assert report.leaves_read == size


def test_progress_is_told(tmp_path: Path) -> None:
    write(tmp_path, random_history(3, 600).entries)
    reader = LogReader(from_folder(tmp_path), KEY, max_entry_bytes=80)
    told: list[tuple[int, int]] = []
    audit(
        [PeriodLog(reader, reader.checkpoint())],
        seen=(), quorum=None, quorum_required=False, now=NOW, progress=lambda *at: told.append(at),
    )  # fmt: skip
    assert told == [(256, 600), (512, 600), (600, 600)]


# ── leaves that an honest city does not write ────────────────────────────────────────────────────


def use_after(kind: Kind) -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give()
    history.end(grant, kind)
    return history, history.use(grant)


@pytest.mark.parametrize("kind", [Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE, Kind.ERASE])
def test_use_after_the_end_of_its_grant(tmp_path: Path, kind: Kind) -> None:
    history, index = use_after(kind)
    write(tmp_path, history.entries)
    report = check(tmp_path)
    assert found(report) == [("use-after-ending", index)]
    assert report.findings[0].expected == 1


@pytest.mark.parametrize("kind", [Kind.AMEND, Kind.PAUSE, Kind.RESUME, Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE])
def test_other_records_after_the_end(tmp_path: Path, kind: Kind) -> None:
    history, index = use_after(Kind.WITHDRAW)
    limits = {"end_day": 1} if kind is Kind.AMEND else {}
    write(tmp_path, changed(history, index, kind=kind, mask=0, **limits).entries)
    assert found(check(tmp_path)) == [("record-after-ending", index)]


def outside_mask() -> tuple[History, int]:
    history = History(Random(1))
    return history, history.use(history.give(mask=0b011), 0b100)


def outside_amended_mask() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give(mask=0b011)
    history.amend(grant, mask=0b001)
    return history, history.use(grant, 0b010)


def of_nothing() -> tuple[History, int]:
    history = History(Random(1))
    return history, history.use(history.give(), 0)


def beyond_max() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give(max_uses=1)
    history.use(grant)
    return history, history.use(grant)


def beyond_amended_max() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give()
    history.use(grant)
    history.amend(grant, max_uses=1)
    return history, history.use(grant)


def after_end_day() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give(days=1)
    history.minute += 2 * 24 * 60
    return history, history.use(grant)


def after_amended_end_day() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give(days=2)
    history.amend(grant, days_less=2)
    history.minute += 24 * 60
    return history, history.use(grant)


def while_paused() -> tuple[History, int]:
    history = History(Random(1))
    grant = history.give()
    history.pause(grant)
    return history, history.use(grant)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (outside_mask, "use-outside"),
        (outside_amended_mask, "use-outside"),
        (of_nothing, "use-outside"),
        (beyond_max, "use-beyond-max"),
        (beyond_amended_max, "use-beyond-max"),
        (after_end_day, "use-after-end-day"),
        (after_amended_end_day, "use-after-end-day"),
        (while_paused, "use-while-paused"),
    ],
)
def test_uses_without_a_permission(tmp_path: Path, make: Callable[[], tuple[History, int]], code: str) -> None:
    history, index = make()
    write(tmp_path, history.entries)
    assert found(check(tmp_path)) == [(code, index)]


def test_the_last_day_itself_and_a_resumed_grant_are_permitted(tmp_path: Path) -> None:
    history = History(Random(1))
    grant = history.give(days=1)
    history.pause(grant)
    history.resume(grant)
    history.minute += 24 * 60
    history.use(grant)
    write(tmp_path, history.entries)
    assert check(tmp_path).passed


OF_HONEST = [
    (2, {"counter": 2}, [("counter-gap", 2), ("counter-gap", 3)]),
    (3, {"counter": 3}, [("counter-gap", 3), ("counter-gap", 4)]),
    (8, {"counter": 6 + 2}, [("counter-gap", 8), ("counter-gap", 10)]),
    (12, {"counter": 99}, [("counter-gap", 12)]),
    (5, {"counter": 4}, [("counter-not-zero", 5)]),
    (0, {"counter": 1}, [("counter-not-zero", 0)]),
    (3, {"service": 2}, [("other-parties", 3)]),
    (11, {"service": 2}, [("other-parties", 11)]),
    (8, {"purpose": 2}, [("other-parties", 8)]),
    (8, {"flags": GROUPED}, [("other-parties", 8)]),
    (10, {"end_day": 1}, [("field-not-empty", 10)]),
    (8, {"end_day": 1}, [("field-not-empty", 8)]),
    (8, {"max_uses": 1}, [("field-not-empty", 8)]),
    (10, {"mask": 1}, [("field-not-empty", 10)]),
    (1, {"mask": 1}, [("field-not-empty", 1)]),
    (3, {"minute": START_MINUTE - 1}, [("minute-falls", 3)]),
    (13, {"minute": START_MINUTE + 11 * 366 * 24 * 60}, [("use-after-end-day", 13), ("minute-ahead", 13)]),
    (7, {"mask": 0b1110}, [("more-attributes", 7)]),
    (7, {"mask": 0}, [("more-attributes", 7), ("use-outside", 8)]),
    (7, {"end_day": 60_000}, [("longer", 7)]),
    (7, {"max_uses": 4}, [("more-uses", 7)]),
    (7, {"max_uses": 0}, [("more-uses", 7)]),
    (2, {"service": 0}, [("nobody-named", 2), *(("other-parties", n) for n in (3, 4, 5, 6, 7, 8, 10, 11, 12))]),
    (2, {"purpose": 0}, [("nobody-named", 2), *(("other-parties", n) for n in (3, 4, 5, 6, 7, 8, 10, 11, 12))]),
]


@pytest.mark.parametrize(("index", "change", "expected"), OF_HONEST, ids=lambda value: str(value)[:40])
def test_one_changed_field(tmp_path: Path, index: int, change: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    write(tmp_path, changed(honest(), index, **change).entries)
    assert sorted(found(check(tmp_path))) == sorted(expected)


def test_dropped_entries(tmp_path: Path) -> None:
    """Every leaf of a grant but its last can be missed, and is."""
    for index in (2, 3, 4, 6, 7, 8, 10):
        history = honest()
        del history.leaves[index]
        write(tmp_path / str(index), history.entries)
        assert not check(tmp_path / str(index)).passed, index


def test_reordered_entries(tmp_path: Path) -> None:
    history = honest()
    history.leaves[8], history.leaves[10] = history.leaves[10], history.leaves[8]
    write(tmp_path, history.entries)
    assert ("use-after-ending", 10) in found(check(tmp_path))


def test_records_of_no_grant(tmp_path: Path) -> None:
    for index, code in ((3, "use-without-grant"), (10, "record-without-grant"), (5, "record-without-grant")):
        folder = tmp_path / str(index)
        write(folder, changed(honest(), index, id=bytes(16)).entries)
        assert (code, index) in found(check(folder))


def test_a_grant_given_twice(tmp_path: Path) -> None:
    for ended in (False, True):
        history = History(Random(1))
        grant = history.give()
        if ended:
            history.end(grant)
        grant.counter = 0
        history.leaves.append(replace(history.leaves[0], counter=1))
        write(tmp_path / str(ended), history.entries)
        assert found(check(tmp_path / str(ended))) == [("given-twice", len(history.leaves) - 1)]


def test_another_kind_under_the_id_of_a_grant(tmp_path: Path) -> None:
    history = honest()
    history.other(Kind.NOTICE)
    write(tmp_path, changed(history, 14, id=history.ended[0].id).entries)
    assert found(check(tmp_path)) == [("id-of-a-grant", 14)]


def test_minutes_of_days(tmp_path: Path) -> None:
    history = History(Random(1))
    grant = history.give(flags=DAY_ONLY)
    history.other(Kind.DECLARE)
    history.use(grant)
    history.minute += 24 * 60
    history.use(grant)
    history.other(Kind.DECLARE)
    index = history.use(grant)
    write(tmp_path / "honest", history.entries)
    assert check(tmp_path / "honest").passed
    day = history.leaves[index].minute
    for name, change, code in (
        ("middle", {"minute": day + 1}, "not-a-day"),
        ("told", {"minute": history.minute, "flags": 0}, "minute-told"),
        ("back", {"minute": day - 24 * 60}, "minute-falls"),
    ):
        mine = replace(history, leaves=list(history.leaves))
        write(tmp_path / name, changed(mine, index, **change).entries)
        assert found(check(tmp_path / name)) == [(code, index)]


@pytest.mark.parametrize(
    "entry", [b"", bytes(79), bytes(81), b"\2" + bytes(79), b"\1\x63" + bytes(78), b"\1\1\4\0" + bytes(76)]
)
def test_entries_that_are_no_leaves(tmp_path: Path, entry: bytes) -> None:
    entries = honest().entries
    entries.insert(4, entry)
    write(tmp_path, entries)
    assert found(check(tmp_path)) == [("no-leaf", 4)]


def test_entries_too_large_to_be_leaves_are_not_even_fetched(tmp_path: Path) -> None:
    write(tmp_path, [bytes(65_000), *honest().entries])
    report = check(tmp_path)
    assert found(report) == [("damaged", 0)] and "more than" in str(report.findings[0].found)


def test_many_findings_are_counted_and_not_kept(tmp_path: Path) -> None:
    history = History(Random(1))
    grant = history.give()
    history.end(grant)
    for _ in range(MAX_FINDINGS + 50):
        history.use(grant)
    write(tmp_path, history.entries)
    report = check(tmp_path)
    assert report.counts[Invariant.ENDING][1] == MAX_FINDINGS + 50
    assert len(report.findings) == MAX_FINDINGS


# ── files that are not what was signed ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "at", "leaf"),
    [
        ("tile/entries/000", 10, 0),
        ("tile/entries/001.p/44", 82 * 30 + 40, 256),
        ("tile/0/000", 0, 0),
        ("tile/0/001.p/44", -1, 256),
        ("tile/1/000.p/1", 31, 300),
    ],
)
def test_a_flipped_byte(tmp_path: Path, path: str, at: int, leaf: int) -> None:
    write(tmp_path, random_history(5, 300).entries)
    content = bytearray((tmp_path / path).read_bytes())
    content[at] ^= 1
    (tmp_path / path).write_bytes(content)
    report = check(tmp_path)
    assert found(report) == [("damaged", leaf)]
    assert report.leaves_read == leaf


def test_an_edited_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    good = (tmp_path / "checkpoint").read_text()
    for bad in (good.replace("\n14\n", "\n13\n"), good.replace(ORIGIN, "log.example/log/2025"), good[:-3], "", "\xff"):
        (tmp_path / "checkpoint").write_text(bad, encoding="latin-1" if bad == "\xff" else "utf-8")
        with pytest.raises(LogError):
            check(tmp_path)
    (tmp_path / "checkpoint").unlink()
    with pytest.raises(LogError, match="no checkpoint"):
        check(tmp_path)


def test_a_root_that_is_not_of_the_entries(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    text = Checkpoint(ORIGIN, 14, bytes(32)).format()
    forged = note.UnverifiedNote(text, (note.sign(text, ORIGIN, SIGNER.public, SIGNER),)).format()
    (tmp_path / "checkpoint").write_text(forged)
    report = check(tmp_path)
    assert found(report) == [("damaged", 14)] and "root" in str(report.findings[0].found)


# ── what was seen before ─────────────────────────────────────────────────────────────────────────


def test_earlier_checkpoints_are_the_beginning(tmp_path: Path) -> None:
    history = random_history(9, 600)
    log = LogWriter(tmp_path / "log", ORIGIN, SIGNER)
    memory = SeenCheckpoints(tmp_path / "memory")
    for low, high in ((0, 0), (0, 1), (1, 256), (256, 257), (257, 500)):
        log.append(history.entries[low:high])
        memory.remember(verify_period(log.signed_checkpoint, KEY), now=NOW)
    log.append(history.entries[500:])
    log.close()
    report = check(tmp_path / "log", seen=memory.of(KEY))
    # The times at which they were kept do not fit the leaves' minutes, which is found as well.
    assert {finding.invariant for finding in report.findings} == {Invariant.WITNESS_TIMES}
    assert report.counts[Invariant.CONTINUATION] == (5, 0)


def test_a_rewritten_log(tmp_path: Path) -> None:
    before = write(tmp_path / "before", honest().entries)
    history = honest()
    history.leaves[10] = replace(history.leaves[10], commitment=bytes(32))
    history.use(history.live[0])
    write(tmp_path / "after", history.entries)
    assert check(tmp_path / "after").passed
    report = check(tmp_path / "after", seen=[SeenCheckpoint(before)])
    assert found(report) == [("another-history", 14)]


def test_a_log_that_shrank(tmp_path: Path) -> None:
    before = write(tmp_path / "before", honest().entries)
    write(tmp_path / "after", honest().entries[:13])
    assert found(check(tmp_path / "after", seen=[SeenCheckpoint(before)])) == [("log-shrank", None)]


def test_two_logs_of_one_size(tmp_path: Path) -> None:
    """What the wallet's receipt carries is held against what the auditor is shown."""
    log = LogWriter(tmp_path / "wallets", ORIGIN, SIGNER)
    log.append(changed(honest(), 13, commitment=bytes(32)).entries)
    receipt, signed = log.prove(3).encode(), log.signed_checkpoint.encode()
    log.close()
    write(tmp_path / "auditors", honest().entries)
    for content in (receipt, signed):
        report = check(tmp_path / "auditors", seen=[read_checkpoint(content, KEY)])
        assert found(report) == [("another-history", 14)]


def test_the_memory_of_an_auditor(tmp_path: Path) -> None:
    first = write(tmp_path / "a", honest().entries)
    other = write(tmp_path / "b", honest().entries, origin="other.example/log")
    memory = SeenCheckpoints(tmp_path / "memory")
    assert memory.of(KEY) == []
    for now in (200, 100, 300):
        memory.remember(first, now=now)
    memory.remember(other, now=100)
    assert memory.of(KEY) == [SeenCheckpoint(first, 100, 300)]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"checkpoint":"x","first":1,"last":2}', b'{"checkpoint":1,"first":1,"last":2}']
)
def test_a_damaged_memory_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(LogError):
        SeenCheckpoints(tmp_path).of(KEY)


def test_a_forged_memory_is_an_error(tmp_path: Path) -> None:
    SeenCheckpoints(tmp_path / "m").remember(write(tmp_path / "a", honest().entries), now=1)
    (kept,) = (tmp_path / "m").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b"\\n14\\n", b"\\n15\\n"))
    with pytest.raises(LogError, match="signature"):
        SeenCheckpoints(tmp_path / "m").of(KEY)


@pytest.mark.parametrize("content", [b"", b"\xff", b"x" * 40_000, b"c2sp.org/tlog-proof@v1\n"])
def test_what_is_no_checkpoint(content: bytes) -> None:
    with pytest.raises(LogError):
        read_checkpoint(content, KEY)


# ── when it was seen ─────────────────────────────────────────────────────────────────────────────


def cosigned(signed: VerifiedCheckpoint, at_minute: int) -> VerifiedCheckpoint:
    line = note.cosign(signed.note.text, WITNESS_KEY.name, WITNESS.public, WITNESS, now=at_minute * 60)
    return verify_period(signed.note.with_signatures([line]).format(), KEY)


def test_minutes_between_witness_times(tmp_path: Path) -> None:
    history = honest()
    early = write(tmp_path / "early", history.entries[:10])
    write(tmp_path / "log", history.entries)
    fits = SeenCheckpoint(cosigned(early, START_MINUTE + 6))
    report = check(tmp_path / "log", seen=[fits], quorum=ONE_WITNESS)
    assert report.passed and report.counts[Invariant.WITNESS_TIMES] == (28, 0)
    # Seen an hour later: the leaves behind it say a minute in which they were not there.
    late = SeenCheckpoint(cosigned(early, START_MINUTE + 120))
    report = check(tmp_path / "log", seen=[late], quorum=ONE_WITNESS)
    assert found(report) == [("before-it-was-seen", index) for index in range(10, 14)]
    # Seen before: the leaves below it say a minute that had not come.
    before = SeenCheckpoint(cosigned(early, START_MINUTE - 10))
    report = check(tmp_path / "log", seen=[before], quorum=ONE_WITNESS)
    assert found(report) == [("after-it-was-seen", index) for index in range(10)]
    assert check(tmp_path / "log", seen=[before]).passed, "an unknown witness bounds nothing"


def test_minutes_between_own_visits(tmp_path: Path) -> None:
    history = honest()
    early = write(tmp_path / "early", history.entries[:10])
    write(tmp_path / "log", history.entries)
    visit = SeenCheckpoint(early, (START_MINUTE + 90) * 60, (START_MINUTE + 120) * 60)
    assert found(check(tmp_path / "log", seen=[visit])) == [("before-it-was-seen", index) for index in range(10, 14)]


def test_a_day_lies_between_witness_times_if_one_of_its_minutes_does(tmp_path: Path) -> None:
    history = History(Random(1))
    grant = history.give(flags=DAY_ONLY)
    early = write(tmp_path / "early", history.entries)
    history.use(grant)
    write(tmp_path / "log", history.entries)
    seen = [SeenCheckpoint(cosigned(early, START_MINUTE))]
    assert check(tmp_path / "log", seen=seen, quorum=ONE_WITNESS).passed
    assert not check(
        tmp_path / "log", seen=[SeenCheckpoint(cosigned(early, START_MINUTE + 24 * 60))], quorum=ONE_WITNESS
    ).passed


# ── who cosigned ─────────────────────────────────────────────────────────────────────────────────


def put_cosignature(folder: Path, *, key: NoteKey = WITNESS_KEY, flipped: bool = False) -> None:
    log = LogWriter(folder, ORIGIN, SIGNER)
    text = note.parse(log.signed_checkpoint).text
    line = note.cosign(text, key.name, key.public, WITNESS, now=(START_MINUTE + 70) * 60)
    value = line.value[:-1] + bytes([line.value[-1] ^ flipped])
    log.add_cosignatures(log.size, [replace(line, value=value)])
    log.close()


def test_witnessed(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    assert not check(tmp_path, quorum=ONE_WITNESS).witnessed
    put_cosignature(tmp_path)
    report = check(tmp_path, quorum=ONE_WITNESS, required=True)
    assert report.passed and report.witnessed and list(report.cosigned) == ["witness.example"]
    assert not check(tmp_path).witnessed, "nobody named a witness"


def test_a_quorum_that_is_required(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    put_cosignature(tmp_path)
    two = Quorum((WITNESS_KEY, NoteKey("w2", note.COSIGNATURE_V1, OTHER.public)), 2)
    report = check(tmp_path, quorum=two, required=True)
    assert found(report) == [("not-witnessed", None)] and not report.witnessed
    assert check(tmp_path, quorum=two).passed


def test_an_unknown_witness_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    put_cosignature(tmp_path, key=replace(WITNESS_KEY, name="stranger"))
    assert found(check(tmp_path, quorum=ONE_WITNESS, required=True)) == [("not-witnessed", None)]


def test_a_wrong_cosignature_is_a_finding(tmp_path: Path) -> None:
    write(tmp_path, honest().entries)
    put_cosignature(tmp_path, flipped=True)
    assert found(check(tmp_path, quorum=ONE_WITNESS)) == [("wrong-cosignature", None)]


# ── periods ──────────────────────────────────────────────────────────────────────────────────────

NEXT = "log.example/log/2027"


def two_periods(folder: Path) -> tuple[History, VerifiedCheckpoint, History]:
    """A grant lives from one period into the next."""
    history = honest()
    closed = write(folder / "2026", history.entries)
    later = replace(history, leaves=[])
    later.previous(closed.note.text)
    later.use(later.live[0])
    return history, closed, later


def check_both(folder: Path) -> AuditReport:
    logs = []
    for name in ("2026", "2027"):
        reader = LogReader(from_folder(folder / name), KEY, max_entry_bytes=80)
        logs.append(PeriodLog(reader, reader.checkpoint()))
    return audit(logs, seen=(), quorum=None, quorum_required=False, now=NOW)


def test_a_grant_lives_on_in_the_next_period(tmp_path: Path) -> None:
    _, _, later = two_periods(tmp_path)
    write(tmp_path / "2027", later.entries, origin=NEXT)
    report = check_both(tmp_path)
    assert report.passed, report.findings
    assert report.counts[Invariant.PERIODS] == (2, 0) and report.leaves_read == 16


@pytest.mark.parametrize("wrong", ["other", "absent", "inside"])
def test_a_period_that_does_not_continue(tmp_path: Path, wrong: str) -> None:
    _, closed, later = two_periods(tmp_path)
    if wrong == "other":
        later.leaves[0] = replace(later.leaves[0], commitment=bytes(32))
    elif wrong == "absent":
        del later.leaves[0]
    else:
        later.previous(closed.note.text)
    write(tmp_path / "2027", later.entries, origin=NEXT)
    expected = {"inside": ("link-inside", 2)}.get(wrong, ("other-earlier-period", 0))
    assert found(check_both(tmp_path)) == [expected]


def test_a_period_read_alone(tmp_path: Path) -> None:
    _, _, later = two_periods(tmp_path)
    write(tmp_path / "2027", later.entries, origin=NEXT)
    assert found(check(tmp_path / "2027")) == [("earlier-period-not-read", 0), ("use-without-grant", 1)]


@pytest.mark.parametrize(
    "change", [{"id": bytes(15) + b"\1"}, {"service": 1}, {"purpose": 1}, {"flags": 2}, {"mask": 1}]
)
def test_a_link_says_nothing_else(tmp_path: Path, change: dict[str, Any]) -> None:
    _, _, later = two_periods(tmp_path)
    write(tmp_path / "2027", changed(later, 0, **change).entries, origin=NEXT)
    assert found(check_both(tmp_path)) == [("field-not-empty", 0)]


def test_the_key_of_another_log(tmp_path: Path) -> None:
    write(tmp_path, honest().entries, origin="other.example/log/2026")
    with pytest.raises(LogError, match="origin"):
        check(tmp_path)
