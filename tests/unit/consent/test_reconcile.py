"""The log against the data holders' signed figures: who lied is told, or at least that somebody did."""

from dataclasses import replace
from random import Random

import pytest

from consent import spec
from consent.errors import MessageError, SenderUnproven
from consent.holder.records import LeafRecord, records_root
from consent.ledger.journal_root import (
    DayRecords,
    JournalRoot,
    Record,
    parse_records,
    parse_roots,
    root_of,
    verify_journal_root,
)
from consent.ledger.leaf import Kind
from consent.ledger.reconcile import Reconciliation, ReleaseLeaves, reconcile
from consent.signed_message import sign_by_kid
from identity.codec import base64url, strict_json
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from tests.consent_history import START_MINUTE, History

LOG = "log.example/log/2026"
TAX, HEALTH = "urn:atorga:party:tax", "urn:atorga:party:health"
DAY = START_MINUTE // 1_440
KEY = SoftwareSigner.generate()


class City:
    """One day: five uses and a notice in the log, released by two data holders."""

    def __init__(self) -> None:
        history = History(Random(1))
        grants = [history.give() for _ in range(2)]
        for grant in (grants[0], grants[1], grants[0], grants[0], grants[1]):
            history.use(grant)
        history.other(Kind.NOTICE)
        self.leaves = ReleaseLeaves()
        self.records: dict[str, list[Record]] = {TAX: [], HEALTH: []}
        for index, entry in enumerate(history.entries):
            self.leaves.see(LOG, index, entry)
            leaf = history.leaves[index]
            if leaf.kind in (Kind.USE, Kind.NOTICE):
                holder = TAX if leaf.id == grants[0].id else HEALTH
                self.records[holder].append(Record(LOG, index, leaf.kind, leaf.id, leaf.counter))

    def stated(self) -> list[JournalRoot]:
        return [JournalRoot(holder, 1, DAY, len(found), root_of(found)) for holder, found in self.records.items()]

    def files(self) -> list[DayRecords]:
        return [DayRecords(holder, DAY, tuple(found)) for holder, found in self.records.items()]


def codes(result: Reconciliation) -> dict[str, int]:
    return dict(result.counts)


def run(
    city: City, *, stated: list[JournalRoot] | None = None, files: list[DayRecords] | None = None, today: int = DAY + 1
) -> Reconciliation:
    return reconcile(
        city.leaves, city.stated() if stated is None else stated, city.files() if files is None else files, today=today
    )


def test_a_day_that_fits() -> None:
    result = run(City())
    assert result.passed and (result.days, result.leaves, result.records) == (1, 6, 6)
    assert (result.statements, result.corrected, result.days_with_all_records) == (2, 0, 1)
    assert run(City(), files=[]).passed, "sums alone"
    assert run(City(), stated=[], files=[], today=DAY).passed, "a day that is not over says nothing yet"


def test_a_release_that_nobody_logged() -> None:
    city = City()
    city.records[TAX].append(Record(LOG, 99, 7, bytes(16), 3))
    result = run(city)
    assert codes(result) == {"day-sum": 1, "release-not-logged": 1}
    fault = next(one for one in result.faults if one.code == "release-not-logged")
    assert (fault.holder, fault.place, fault.day) == (TAX, (LOG, 99), DAY)


@pytest.mark.parametrize(
    "change", [{"counter": 77}, {"id": bytes(16)}, {"kind": 12}, {"leaf_index": 0}, {"log": "other"}]
)
def test_a_record_of_another_leaf_than_is_there(change: dict[str, object]) -> None:
    city = City()
    city.records[TAX][0] = replace(city.records[TAX][0], **change)  # type: ignore[arg-type]
    assert codes(run(city)) == {"release-not-logged": 1, "use-not-released": 1}


def test_a_use_that_nobody_released() -> None:
    """The operator counted and logged a use itself, or an answer never came to the data holder."""
    city = City()
    gone = city.records[HEALTH].pop()
    result = run(city)
    assert codes(result) == {"day-sum": 1, "use-not-released": 1}
    assert next(one for one in result.faults if one.code == "use-not-released").place == (LOG, gone.leaf_index)
    assert codes(run(city, files=[])) == {"day-sum": 1}
    assert codes(run(city, files=city.files()[:1])) == {"day-sum": 1}, (
        "one data holder's records do not show whose it is"
    )


def test_records_that_are_not_what_was_signed() -> None:
    """The data holder's operator takes a release out of what it hands to the auditor."""
    city = City()
    stated = city.stated()
    city.records[TAX].pop()
    assert codes(run(city, stated=stated)) == {"records-differ": 1, "use-not-released": 1}
    swapped = City()
    swapped.records[TAX].reverse()
    assert codes(run(swapped, stated=City().stated())) == {"records-differ": 1}


def test_a_statement_that_is_withheld() -> None:
    """The consent service does not publish what a data holder stated."""
    city = City()
    result = run(city, stated=city.stated()[:1])
    assert codes(result) == {"day-sum": 1, "root-not-published": 1}
    assert codes(run(city, stated=[], files=[])) == {"day-sum": 1}


def test_two_claim_one_leaf() -> None:
    city = City()
    city.records[HEALTH].append(city.records[TAX][0])
    assert codes(run(city)) == {"day-sum": 1, "claimed-twice": 1}


def test_the_newest_statement_counts_and_the_others_are_told() -> None:
    city = City()
    wrong = JournalRoot(TAX, 0, DAY, 9, bytes(32))
    for stated in ([wrong, *city.stated()], [*city.stated(), wrong]):
        result = run(city, stated=stated)
        assert result.passed and result.corrected == 1
    later = replace(wrong, issued=2)
    assert codes(run(city, stated=[later, *city.stated()])) == {"day-sum": 1, "records-differ": 1}


def test_days_are_told_apart() -> None:
    city = City()
    assert reconcile(city.leaves, city.stated(), [], today=DAY + 9, days=[DAY + 1]).leaves == 0
    history = History(Random(1))
    index = history.use(history.give())
    for day, expected in ((DAY, 1), (DAY + 1, 0)):
        only = ReleaseLeaves([day])
        only.see(LOG, index, history.entries[index])
        assert len(only.days) == expected


# ── statements and files ─────────────────────────────────────────────────────────────────────────


def statement(**changes: object) -> str:
    claims = {"iss": TAX, "aud": "urn:atorga:party:consent", "iat": 1, "day": DAY, "count": 0, "root": "A" * 43}
    return sign_by_kid({**claims, **changes}, KEY, typ=str(changes.pop("typ", spec.TYP_JOURNAL_ROOT)))


def key_of(holder: str) -> PublicKey:
    return KEY.public_key


def test_a_statement_is_read() -> None:
    assert verify_journal_root(statement(), key_of=key_of) == JournalRoot(TAX, 1, DAY, 0, bytes(32))


@pytest.mark.parametrize(
    "change",
    [{"count": -1}, {"day": "x"}, {"root": "A"}, {"root": "A" * 42 + "B"}, {"more": 1}, {"iss": 7}, {"aud": ""}],
)
def test_statements_that_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        verify_journal_root(statement(**change), key_of=key_of)


def test_statements_of_others() -> None:
    with pytest.raises(SenderUnproven):
        verify_journal_root(statement(), key_of=lambda _: SoftwareSigner.generate().public_key)
    with pytest.raises(MessageError, match="another consent service"):
        verify_journal_root(statement(), key_of=key_of, consent="urn:other")
    other_kind = sign_by_kid({"iss": TAX}, KEY, typ=spec.TYP_WITHDRAWAL)
    with pytest.raises(MessageError):
        verify_journal_root(other_kind, key_of=key_of)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"roots":1}', b'{"roots":[1]}', b'{"roots":[],"more":1}'])
def test_what_is_no_list_of_statements(content: bytes) -> None:
    with pytest.raises(MessageError):
        parse_roots(content)


def test_what_a_data_holder_prints_is_read_and_hashed_apart() -> None:
    """The data holder's root and the auditor's are the work of two files that share no line."""
    city = City()
    made = [
        LeafRecord(one.log, one.leaf_index, DAY, Kind(one.kind), base64url.encode(one.id), one.counter)
        for one in city.records[TAX]
    ]
    printed = strict_json.compact(
        {
            "holder": TAX,
            "day": DAY,
            "count": len(made),
            "root": records_root(made),
            "records": [one.to_json() for one in made],
        }
    )
    read = parse_records(printed)
    assert read == DayRecords(TAX, DAY, tuple(city.records[TAX]))
    assert base64url.encode(read.root) == records_root(made)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b'{"holder":"x","day":1,"records":{}}', b'{"holder":"x","day":1,"records":[1]}',
        b'{"holder":"x","day":-1,"records":[]}',
        b'{"holder":"x","day":1,"records":[{"log":"l","leaf_index":1,"kind":99,"id":"AAAAAAAAAAAAAAAAAAAAAA","counter":1}]}',
        b'{"holder":"x","day":1,"records":[{"log":"l","leaf_index":1,"kind":7,"id":"AA","counter":1}]}',
    ],
)  # fmt: skip
def test_what_is_no_records_of_a_day(content: bytes) -> None:
    with pytest.raises(MessageError):
        parse_records(content)
