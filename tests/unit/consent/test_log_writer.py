"""The writer of the log: what a crash, a second writer or an old database may leave behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.errors import LogError, LogInUse, StoreBehindLog
from consent.log import checkpoint, durable, merkle, proof, writer
from consent.log.reader import LogReader, Tree, from_folder
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

SIGNER = Ed25519Signer(bytes(range(32)))
ORIGIN = "log.example/log/1"


def entries(count: int, start: int = 0) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(start, start + count)]


def fail_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next write of this file finds a full disk."""
    real = durable.replace

    def failing(path: Path, content: bytes, *, sync_folder: bool = True) -> None:
        if path.name == step or (step == "tile" and "/tile/0/" in str(path)):
            raise OSError("disk full")
        real(path, content, sync_folder=sync_folder)

    monkeypatch.setattr(writer, "replace", failing)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    opened = LogWriter(tmp_path, ORIGIN, SIGNER)
    yield opened
    opened.close()


def reopen(log: LogWriter, folder: Path) -> LogWriter:
    log.close()
    return LogWriter(folder, ORIGIN, SIGNER)


def test_an_empty_log_has_a_checkpoint(log: LogWriter, tmp_path: Path) -> None:
    assert checkpoint.verify((tmp_path / "checkpoint").read_text(), log.key).size == 0


@pytest.mark.parametrize("batches", [[1], [255, 1], [256], [257], [300, 300], [256 * 256 + 3]])
def test_every_proof_verifies_after_reopening(log: LogWriter, tmp_path: Path, batches: list[int]) -> None:
    for batch in batches:
        assert log.append(entries(batch, log.size)) == log.size - batch
    again = reopen(log, tmp_path)
    total = sum(batches)
    for index in {0, 1, total // 2, total - 1} & set(range(total)):
        verified = proof.verify(again.prove(index), again.key)
        assert (verified.entry, verified.index) == (f"entry {index}".encode(), index)
    again.close()


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 700), (256, 1), (257, 300), (600, 256 * 256)])
def test_a_proof_under_an_earlier_checkpoint(log: LogWriter, first: int, second: int) -> None:
    log.append(entries(first))
    log.append(entries(second, first))
    for index in {0, first // 2, first - 1}:
        verified = proof.verify(log.prove(index, first), log.key)
        assert (verified.index, verified.checkpoint.size) == (index, first)
    with pytest.raises(LogError):
        log.prove(first, first)


def test_a_second_writer_is_refused(log: LogWriter, tmp_path: Path) -> None:
    with pytest.raises(LogInUse):
        LogWriter(tmp_path, ORIGIN, SIGNER)


def test_an_append_of_nothing_signs_nothing(log: LogWriter, tmp_path: Path) -> None:
    assert log.append([]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.0", "writer.lock"]


@pytest.mark.parametrize("step", ["tile", "checkpoint.3", "checkpoint"])
def test_a_failing_write_leaves_a_log_that_can_be_continued(
    log: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    log.append(entries(2))
    fail_at(step, monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        log.append(entries(1, 2))
    assert log.size == 2
    proof.verify(log.prove(1), log.key)
    monkeypatch.undo()
    # Whether a checkpoint of 3 was signed is not known here: other entries would make a fork.
    with pytest.raises(LogError, match="reopen it"):
        log.append([b"other", b"entries"])
    again = reopen(log, tmp_path)
    # Where the checkpoint of 3 had been signed, the log goes on from there: it must not be forgotten.
    assert again.size == (3 if step == "checkpoint" else 2)
    if again.size == 2:
        again.append(entries(1, 2))
    proof.verify(again.prove(2), again.key)
    again.close()


@pytest.mark.parametrize("before", [2, 254])
def test_what_was_never_signed_leaves_no_trace_in_what_follows(
    log: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Its hashes were reckoned already; other entries may come in its place."""
    log.append(entries(before))
    fail_at(f"checkpoint.{before + 6}", monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        log.append(entries(6, before))
    monkeypatch.undo()
    log.close()
    log.take()
    others = [b"other %d" % number for number in range(6)]
    log.append(others)
    for number, other in enumerate(others, before):
        assert proof.verify(log.prove(number), log.key).entry == other
    again = reopen(log, tmp_path)
    assert proof.verify(again.prove(before + 1), again.key).entry == others[1]
    again.close()


def test_a_failed_append_is_looked_up_in_place(log: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = entries(6)
    log.append(stored[:2])
    for step, grown in (("checkpoint.4", 2), ("checkpoint", 4)):
        fail_at(step, monkeypatch)
        with pytest.raises(OSError, match="disk full"):
            log.append(stored[2:4])
        monkeypatch.undo()
        log.reopen()
        assert log.size == grown
    assert log.recover(lambda index: stored[index:], len(stored)) == 2
    proof.verify(log.prove(5), log.key)


def test_a_current_checkpoint_beyond_its_kept_copies(log: LogWriter, tmp_path: Path) -> None:
    log.append(entries(2))
    (tmp_path / "checkpoint.2").unlink()
    with pytest.raises(LogError, match="kept copy"):
        reopen(log, tmp_path)


def test_proofs_to_an_earlier_size(log: LogWriter) -> None:
    roots = {}
    for batch in (3, 300, 70_000, 5):
        log.append(entries(batch, log.size))
        roots[log.size] = checkpoint.verify(log.signed_checkpoint, log.key).root
    sizes = sorted(roots)
    for at, old in enumerate(sizes):
        for new in sizes[at:]:
            merkle.verify_consistency(old, roots[old], new, roots[new], log.prove_consistency(old, new))
    with pytest.raises(LogError, match="no tree"):
        log.prove_consistency(3, log.size + 1)


def test_recovery_appends_what_the_store_has(log: LogWriter) -> None:
    stored = entries(1_000)
    log.append(stored[:300])
    assert log.recover(lambda index: stored[index : index + 256], len(stored)) == 700
    assert log.size == 1_000
    assert log.recover(lambda index: stored[index : index + 256], len(stored)) == 0


def test_a_store_that_is_behind_signs_nothing(log: LogWriter, tmp_path: Path) -> None:
    stored = entries(5)
    log.append(stored)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreBehindLog, match="the store has 4 entries"):
        log.recover(lambda index: stored[index:4], 4)
    other = [*stored[:4], b"another history", b"longer"]
    with pytest.raises(StoreBehindLog, match="entry 4"):
        log.recover(lambda index: other[index:], 6)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_store_that_claims_more_than_it_gives(log: LogWriter) -> None:
    with pytest.raises(StoreBehindLog, match="claims 2"):
        log.recover(lambda index: entries(2)[index:1], 2)


def test_another_history_of_a_signed_size_is_refused(log: LogWriter, tmp_path: Path) -> None:
    log.append(entries(2))
    (tmp_path / "checkpoint.3").write_text("a checkpoint of 3 that was signed elsewhere")
    with pytest.raises(LogError, match="nothing was signed anew"):
        log.append(entries(1, 2))


@pytest.mark.parametrize("damage", ["tile/0/000.p/3", "tile/entries/000.p/3", "checkpoint.3"])
def test_damaged_files_are_noticed_on_opening(log: LogWriter, tmp_path: Path, damage: str) -> None:
    log.append(entries(3))
    log.close()
    content = bytearray((tmp_path / damage).read_bytes())
    content[-2] ^= 1
    (tmp_path / damage).write_bytes(bytes(content))
    with pytest.raises(LogError):
        LogWriter(tmp_path, ORIGIN, SIGNER)


def test_another_key_or_origin_does_not_open_it(log: LogWriter, tmp_path: Path) -> None:
    log.close()
    for origin, signer in ((ORIGIN, Ed25519Signer(bytes(32))), ("other.example", SIGNER)):
        with pytest.raises(LogError):
            LogWriter(tmp_path, origin, signer)


def test_a_checkpoint_without_its_kept_copy(log: LogWriter, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.0").unlink()
    with pytest.raises(LogError, match="kept copy"):
        reopen(log, tmp_path)


def test_entries_outside(log: LogWriter) -> None:
    log.append(entries(1))
    for index in (-1, 1):
        with pytest.raises(LogError):
            log.prove(index)
    with pytest.raises(LogError):
        log.append([bytes(65_536)])


def test_what_nobody_needs_is_pruned_and_everything_is_proven(
    log: LogWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "KEPT_CHECKPOINTS", 3)
    for _ in range(30):
        log.append(entries(50, log.size))
    log.prune()
    # Full tiles 0 to 4; the partial ones of 3 and 4 stay for whoever reads the newest checkpoint.
    for kind in ("0", "entries"):
        assert sorted(path.name for path in (tmp_path / "tile" / kind).glob("*.p")) == ["003.p", "004.p", "005.p"]
    sizes = sorted(int(path.suffix[1:]) for path in tmp_path.glob("checkpoint.*"))
    assert sizes == [250, 500, 750, 1000, 1250, 1350, 1400, 1450, 1500]
    log.append(entries(7, log.size))
    for index in (0, 255, 256, 1_299, 1_506):
        assert proof.verify(log.prove(index), log.key).index == index
    again = reopen(log, tmp_path)
    assert again.size == 1_507 and proof.verify(again.prove(3), again.key).index == 3
    again.prune()
    again.append(entries(1, again.size))
    reader, tree = LogReader(from_folder(tmp_path), again.key), Tree()
    assert sum(len(run.entries) for run in reader.runs(reader.checkpoint().checkpoint, tree)) == 1_508
    again.close()


def test_only_who_writes_prunes(log: LogWriter, tmp_path: Path) -> None:
    follower = LogWriter(tmp_path, ORIGIN, SIGNER, take=False)
    for act in (follower.prune, follower.reopen, lambda: follower.append([b"x"])):
        with pytest.raises(LogError, match="another process writes it"):
            act()


def test_who_follows_sees_what_is_written(log: LogWriter, tmp_path: Path) -> None:
    follower = LogWriter(tmp_path, ORIGIN, SIGNER, take=False)
    assert follower.look() and not follower.look() and not follower.writes
    for count in (1, 254, 1, 300, 5_000, 256):
        log.append(entries(count, log.size))
        assert follower.look() and follower.size == log.size
        assert follower.signed_checkpoint == log.signed_checkpoint
        assert follower.entries(log.size - count, log.size) == entries(count, log.size - count)
        for index in (0, log.size - 1, log.size // 2):
            assert follower.prove(index) == log.prove(index)
    log.close()
    follower.take()
    assert follower.writes
    follower.append([b"mine"])
    follower.close()


def test_who_follows_believes_no_fork(log: LogWriter, tmp_path: Path) -> None:
    follower = LogWriter(tmp_path, ORIGIN, SIGNER, take=False)
    log.append(entries(10))
    follower.look()
    other = LogWriter(tmp_path / "other", ORIGIN, SIGNER)
    for other_entries, said in (
        (entries(10, 5), "two checkpoints of 10 entries"),
        (entries(20, 3), "do not lead to the root"),
    ):
        other.append(other_entries)
        (tmp_path / "checkpoint").write_text(other.signed_checkpoint)
        with pytest.raises((LogError, OSError)) as raised:
            follower.look()
        assert isinstance(raised.value, OSError) or said in str(raised.value)
        assert follower.size == 10
    (tmp_path / "checkpoint").write_text((tmp_path / "checkpoint.0").read_text())
    with pytest.raises(LogError, match="fell from 10"):
        follower.look()
    other.close()
