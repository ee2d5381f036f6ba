"""Logs as dishonest cities write them, one scenario a row: who else checks logs is tried on the same ones.

Every log here is written by the honest writer and signed with the log's real key; what catches it is
never that the cheat was clumsy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind
from consent.ledger.promise import sign_promise
from consent.log import checkpoint, note
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.codec import strict_json
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_history import START_MINUTE, History

ORIGIN = "log.example/log/2026"
NEXT_ORIGIN = "log.example/log/2027"
SIGNER, WITNESS = Ed25519Signer(bytes([1]) * 32), Ed25519Signer(bytes([2]) * 32)
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
WITNESS_KEY = NoteKey("witness.example", note.COSIGNATURE_V1, WITNESS.public)
NOW = (START_MINUTE + 400 * 24 * 60) * 60


@dataclass(slots=True)
class Shown:
    """What a city shows one auditor, who may have seen, or been told, something before."""

    folder: Path
    seen: list[VerifiedCheckpoint] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    numbers: tuple[bytes, bytes] | None = None
    """What it published at the auditor's earlier visit, and now."""
    previous: Path | None = None
    """The log of the period before."""
    quorum: int | None = None
    """Of the one witness."""


Build = Callable[[Path], Shown]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``code``: what our auditor finds. ``go``: whether the log alone shows it, so that Go's client refuses too."""

    name: str
    code: str
    build: Build
    go: bool = True


def write(
    folder: Path, entries: Sequence[bytes], *, origin: str = ORIGIN, cosigned_at: int | None = None
) -> VerifiedCheckpoint:
    log = LogWriter(folder, origin, SIGNER)
    log.append(entries)
    if cosigned_at is not None:
        text = note.parse(log.signed_checkpoint).text
        log.add_cosignatures(log.size, [cosign(text, cosigned_at)])
    log.close()
    return checkpoint.verify(log.signed_checkpoint, log.key)


def cosign(text: str, at: int) -> note.Signature:
    return note.cosign(text, WITNESS_KEY.name, WITNESS.public, WITNESS, now=at)


def town(seed: int = 1) -> History:
    """Some life: a grant (leaf 1) that is used twice, paused, resumed, used, withdrawn; others beside it."""
    history = History(Random(seed))
    history.other(Kind.DECLARE, service=0, purpose=0)
    grant = history.give(mask=0b011, max_uses=4, days=30)  # 1
    other = history.give(mask=0b111)
    history.use(grant, 0b01)  # 3
    history.minute += 1
    history.use(grant, 0b10)  # 4
    history.pause(grant)
    history.minute += 7
    history.deny(grant)
    history.resume(grant)  # 7
    history.use(other)
    history.use(grant)  # 9
    history.minute += 2
    history.end(grant)  # 10
    history.minute += 60
    history.deny(grant)
    history.use(other)
    return history


def _log(make: Callable[[History], None]) -> Build:
    """A log that is honest but for what ``make`` does to its leaves."""

    def build(folder: Path) -> Shown:
        history = town()
        make(history)
        write(folder / "log", history.entries)
        return Shown(folder / "log")

    return build


def _use_after_withdrawal(history: History) -> None:
    history.use(history.ended[0])


def _use_while_paused(history: History) -> None:
    grant = history.live[0]
    history.pause(grant)
    history.use(grant)


def _use_beyond_mask(history: History) -> None:
    history.use(history.live[0], 0b1000)


def _use_beyond_narrowed_mask(history: History) -> None:
    grant = history.live[0]
    history.amend(grant, mask=0b001)
    history.use(grant, 0b010)


def _use_beyond_maximum(history: History) -> None:
    grant = history.give(max_uses=1)
    history.use(grant)
    history.use(grant)


def _use_after_last_day(history: History) -> None:
    grant = history.give(days=1)
    history.minute += 3 * 24 * 60
    history.use(grant)


def _use_without_grant(history: History) -> None:
    history.use(history.live[0])
    history.leaves[-1] = replace(history.leaves[-1], id=bytes(range(16)))


def _dropped_use(history: History) -> None:
    del history.leaves[4]


def _counter_gap(history: History) -> None:
    grant = history.live[0]
    grant.counter += 1
    history.use(grant)


def _reordered_withdrawal(history: History) -> None:
    """The withdrawal came before the last use, and is logged behind it: the counters tell."""
    leaves = history.leaves
    leaves[9], leaves[10] = replace(leaves[10], minute=leaves[9].minute), replace(leaves[9], minute=leaves[10].minute)


def _back_dated(history: History) -> None:
    history.leaves[10] = replace(history.leaves[10], minute=START_MINUTE)


def _post_dated(history: History) -> None:
    history.leaves[-1] = replace(history.leaves[-1], minute=NOW // 60 + 60)
    history.leaves[-1] = replace(history.leaves[-1], kind=Kind.DECLARE, counter=0, mask=0, id=bytes([7]) * 16)


def _widened(history: History) -> None:
    history.amend(history.live[0], mask=0b1111)


def _prolonged(history: History) -> None:
    history.amend(history.live[0], days_less=-30)


def _maximum_raised(history: History) -> None:
    grant = history.give(max_uses=2)
    history.amend(grant, max_uses=9)


def _other_service(history: History) -> None:
    """A use by one service is logged under the grant of another."""
    history.use(history.live[0])
    history.leaves[-1] = replace(history.leaves[-1], service=2)


def _other_purpose(history: History) -> None:
    history.use(history.live[0])
    history.leaves[-1] = replace(history.leaves[-1], purpose=2)


def _hidden_behind_a_group(history: History) -> None:
    history.use(history.live[0])
    history.leaves[-1] = replace(history.leaves[-1], flags=GROUPED)


def _given_twice(history: History) -> None:
    history.leaves.append(replace(history.leaves[2], minute=history.minute))


def _given_again_after_withdrawal(history: History) -> None:
    history.leaves.append(replace(history.leaves[1], minute=history.minute))


def _refusals_flood(history: History) -> None:
    for _ in range(5):
        history.minute += 10
        history.deny(history.live[0])


def _minute_told(history: History) -> None:
    grant = history.give(flags=DAY_ONLY)
    history.use(grant)
    history.leaves[-1] = replace(history.leaves[-1], flags=0, minute=history.minute)


def _value_in_a_leaf(history: History) -> None:
    """A leaf that says more than a leaf may: four bytes where there is nothing to say."""
    history.leaves[0] = replace(history.leaves[0], mask=0xCAFE)


def _no_leaf(folder: Path) -> Shown:
    entries = town().entries
    write(folder / "log", [*entries[:5], b"income: 12000".ljust(80, b"\0"), *entries[5:]])
    return Shown(folder / "log")


# ── what was signed is not what is served, or is another thing each time ─────────────────────────


def _fork(folder: Path) -> Shown:
    other = town()
    other.leaves[9] = replace(other.leaves[9], commitment=bytes(32))
    seen = write(folder / "other", other.entries)
    write(folder / "log", town().entries)
    return Shown(folder / "log", seen=[seen])


def _rewritten_history(folder: Path) -> Shown:
    """A use is taken out, all that follows is made to fit, everything is signed anew."""
    seen = write(folder / "before", town().entries)
    history = town()
    del history.leaves[9]
    history.leaves[9] = replace(history.leaves[9], counter=history.leaves[9].counter - 1)
    history.use(history.live[0])
    history.use(history.live[0])
    write(folder / "log", history.entries)
    return Shown(folder / "log", seen=[seen])


def _rewritten_entry(folder: Path) -> Shown:
    write(folder / "log", town().entries)
    path = folder / "log/tile/entries/000.p/13"
    content = bytearray(path.read_bytes())
    content[82 * 9 + 2 + 1] = Kind.DENY
    path.write_bytes(content)
    return Shown(folder / "log")


def _rewritten_entry_and_tile(folder: Path) -> Shown:
    """Entry and hash agree; the root that was signed does not."""
    write(folder / "log", town().entries)
    history = town()
    history.leaves[9] = replace(history.leaves[9], service=2)
    write(folder / "other", history.entries)
    for path in ("tile/entries/000.p/13", "tile/0/000.p/13"):
        (folder / "log" / path).write_bytes((folder / "other" / path).read_bytes())
    return Shown(folder / "log")


def _truncated(folder: Path) -> Shown:
    seen = write(folder / "before", town().entries)
    write(folder / "log", town().entries[:10])
    return Shown(folder / "log", seen=[seen])


def _entries_deleted(folder: Path) -> Shown:
    history = town()
    while len(history.leaves) < 600:
        history.step()
    write(folder / "log", history.entries)
    (folder / "log/tile/entries/001").unlink()
    return Shown(folder / "log")


def _hashes_deleted(folder: Path) -> Shown:
    history = town()
    while len(history.leaves) < 600:
        history.step()
    write(folder / "log", history.entries)
    (folder / "log/tile/0/001").unlink()
    return Shown(folder / "log")


def _wrong_period_link(folder: Path) -> Shown:
    """The new period goes on from a log that nobody was shown."""
    write(folder / "2026", town().entries)
    hidden = write(folder / "hidden", [*town().entries, bytes([1, 15]) + bytes(78)])
    later = replace(town(), leaves=[])
    later.previous(hidden.note.text)
    later.use(later.live[0])
    write(folder / "log", later.entries, origin=NEXT_ORIGIN)
    return Shown(folder / "log", previous=folder / "2026")


def _link_missing(folder: Path) -> Shown:
    write(folder / "2026", town().entries)
    later = replace(town(), leaves=[])
    later.use(later.live[0])
    write(folder / "log", later.entries, origin=NEXT_ORIGIN)
    return Shown(folder / "log", previous=folder / "2026")


# ── time and witnesses ───────────────────────────────────────────────────────────────────────────


def _back_dated_between_witnesses(folder: Path) -> Shown:
    """Minutes do not fall, but the log was seen an hour later without the entry."""
    early = write(folder / "early", town().entries[:10], cosigned_at=(START_MINUTE + 200) * 60)
    write(folder / "log", town().entries)
    return Shown(folder / "log", seen=[early], quorum=0)


def _unwitnessed(folder: Path) -> Shown:
    write(folder / "log", town().entries)
    return Shown(folder / "log", quorum=1)


def _witness_forged(folder: Path) -> Shown:
    write(folder / "log", town().entries)
    log = LogWriter(folder / "log", ORIGIN, SIGNER)
    line = cosign(note.parse(log.signed_checkpoint).text, NOW)
    log.add_cosignatures(log.size, [replace(line, value=line.value[:-1] + bytes([line.value[-1] ^ 1]))])
    log.close()
    return Shown(folder / "log", quorum=0)


# ── words given to others ────────────────────────────────────────────────────────────────────────


def _broken_promise(folder: Path) -> Shown:
    """A withdrawal was promised, and nobody logged it."""
    history = town()
    history.end(history.live[0])
    leaf = history.leaves.pop()
    write(folder / "log", history.entries)
    due = (history.minute + 60) * 60
    return Shown(folder / "log", promises=[sign_promise(leaf, due=due, key=KEY, signer=SIGNER)])


def _late_promise(folder: Path) -> Shown:
    history = town()
    due = (history.minute + 60) * 60
    history.minute += 120
    history.end(history.live[0])
    write(folder / "log", history.entries)
    return Shown(folder / "log", promises=[sign_promise(history.leaves[-1], due=due, key=KEY, signer=SIGNER)])


def _another_leaf_than_promised(folder: Path) -> Shown:
    """What was promised was the withdrawal; what was logged is an expiry, as if the resident had done nothing."""
    history = town()
    history.end(history.live[0])
    leaf = history.leaves[-1]
    history.leaves[-1] = replace(leaf, kind=Kind.EXPIRE)
    write(folder / "log", history.entries)
    due = (history.minute + 60) * 60
    return Shown(folder / "log", promises=[sign_promise(leaf, due=due, key=KEY, signer=SIGNER)])


def _numbers(*services: tuple[int, str]) -> bytes:
    return strict_json.compact(
        {
            "services": [{"id": name, "number": number} for number, name in services],
            "purposes": [{"iri": "https://w3id.org/dpv#ServiceProvision", "number": 1}],
        }
    )


def _renamed_number(folder: Path) -> Shown:
    """The number under which the police read is social services' tomorrow."""
    write(folder / "log", town().entries)
    then, now = _numbers((1, "urn:atorga:party:police")), _numbers((1, "urn:atorga:party:social-services"))
    return Shown(folder / "log", numbers=(then, now))


def _number_of_nobody(folder: Path) -> Shown:
    history = town()
    history.use(history.give(service=9))
    write(folder / "log", history.entries)
    published = _numbers((1, "urn:atorga:party:police"))
    return Shown(folder / "log", numbers=(published, published))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("use-after-withdrawal", "use-after-ending", _log(_use_after_withdrawal)),
    Scenario("use-while-paused", "use-while-paused", _log(_use_while_paused)),
    Scenario("use-beyond-mask", "use-outside", _log(_use_beyond_mask)),
    Scenario("use-beyond-narrowed-mask", "use-outside", _log(_use_beyond_narrowed_mask)),
    Scenario("use-beyond-maximum", "use-beyond-max", _log(_use_beyond_maximum)),
    Scenario("use-after-last-day", "use-after-end-day", _log(_use_after_last_day)),
    Scenario("use-without-grant", "use-without-grant", _log(_use_without_grant)),
    Scenario("dropped-use", "counter-gap", _log(_dropped_use)),
    Scenario("counter-gap", "counter-gap", _log(_counter_gap)),
    Scenario("reordered-withdrawal", "use-after-ending", _log(_reordered_withdrawal)),
    Scenario("back-dated", "minute-falls", _log(_back_dated)),
    Scenario("post-dated", "minute-ahead", _log(_post_dated)),
    Scenario("back-dated-between-witnesses", "before-it-was-seen", _back_dated_between_witnesses, go=False),
    Scenario("widened", "more-attributes", _log(_widened)),
    Scenario("prolonged", "longer", _log(_prolonged)),
    Scenario("maximum-raised", "more-uses", _log(_maximum_raised)),
    Scenario("other-service", "other-parties", _log(_other_service)),
    Scenario("other-purpose", "other-parties", _log(_other_purpose)),
    Scenario("hidden-behind-a-group", "other-parties", _log(_hidden_behind_a_group)),
    Scenario("given-twice", "given-twice", _log(_given_twice)),
    Scenario("given-again-after-withdrawal", "given-twice", _log(_given_again_after_withdrawal)),
    Scenario("refusals-flood", "refusals-flood", _log(_refusals_flood)),
    Scenario("minute-told", "minute-told", _log(_minute_told)),
    Scenario("value-in-a-leaf", "field-not-empty", _log(_value_in_a_leaf)),
    Scenario("no-leaf", "no-leaf", _no_leaf),
    Scenario("fork", "another-history", _fork),
    Scenario("rewritten-history", "another-history", _rewritten_history),
    Scenario("rewritten-entry", "damaged", _rewritten_entry),
    Scenario("rewritten-entry-and-tile", "damaged", _rewritten_entry_and_tile),
    Scenario("truncated", "log-shrank", _truncated),
    Scenario("entries-deleted", "damaged", _entries_deleted),
    Scenario("hashes-deleted", "damaged", _hashes_deleted),
    Scenario("wrong-period-link", "other-earlier-period", _wrong_period_link),
    Scenario("link-missing", "other-earlier-period", _link_missing),
    Scenario("unwitnessed", "not-witnessed", _unwitnessed, go=False),
    Scenario("witness-forged", "wrong-cosignature", _witness_forged),
    Scenario("broken-promise", "promise-broken", _broken_promise),
    Scenario("late-promise", "promise-late", _late_promise),
    Scenario("another-leaf-than-promised", "promise-broken", _another_leaf_than_promised),
    Scenario("renamed-number", "number-renamed", _renamed_number, go=False),
    Scenario("number-of-nobody", "number-not-published", _number_of_nobody, go=False),
)
"""Where ``go`` is false the log's files do not show it: it takes a second document or somebody else's memory."""
