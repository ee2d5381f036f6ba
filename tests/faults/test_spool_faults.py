"""The urgent spool survives: a data holder killed at any moment has every statement whose answer it gave away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from consent.holder.law_journal import LawfulAccess, LawJournal
from consent.holder.schema import open_engine, upgrade
from tests.architecture.named_tests import ROOT

NOW = 1_795_315_110

WRITER = """
import sys
from tests.faults.test_spool_faults import access, open_journal
journal = open_journal(sys.argv[1])
for number in range(int(sys.argv[2]), 10**6):
    said = journal.spool(
        access(number), basis_request=f"request {number}", mailboxes=("m",),
        sign=lambda sequence, now: f"statement {sequence}", outcome="released", answer=lambda statement: statement,
    )
    print(number, said.answer.split()[1], flush=True)
"""


def open_journal(folder: str) -> LawJournal:
    engine = open_engine(f"sqlite:///{folder}/holder.db")
    upgrade(engine)
    return LawJournal(engine, lambda: float(NOW))


def access(number: int) -> LawfulAccess:
    return LawfulAccess(f"id-{number}", f"hash-{number}", "service", "1", ("a",), NOW + 60, NOW + 60, None)


@pytest.mark.parametrize("answers", [1, 7, 40])
def test_kill_9_loses_no_statement_that_was_answered(tmp_path: Path, answers: int) -> None:
    given: list[tuple[int, int]] = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(1_000 * len(given))],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(answers):
            number, sequence = process.stdout.readline().split()
            given.append((int(number), int(sequence)))
        os.kill(process.pid, signal.SIGKILL)
        # What it printed after the last line read here was answered as well.
        given += [(int(a), int(b)) for a, b in (line.split() for line in process.stdout.read().splitlines() if line)]
        process.wait()
        process.stdout.close()
    journal = open_journal(str(tmp_path))
    with journal._engine.connect() as connection:
        rows = connection.execute(text("SELECT sequence, basis_request, spooled FROM spooled_notice ORDER BY sequence"))
        kept = {row.sequence: (row.basis_request, row.spooled) for row in rows}
    assert list(kept) == list(range(1, len(kept) + 1)), "its sequence has no gap"
    for asked, place in given:
        assert kept[place] == (f"request {asked}", f"statement {place}")
    waiting = journal.waiting()
    assert waiting is not None and waiting.sequence == 1, "they go in their order"


def test_a_disk_that_is_full_releases_nothing(tmp_path: Path) -> None:
    journal = open_journal(str(tmp_path))
    with journal._engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    released = 0
    fault: str | None = None
    while fault is None:
        try:
            journal.spool(
                access(released), basis_request="x" * 4_000, mailboxes=(), sign=lambda sequence, now: "x" * 4_000,
                outcome="released", answer=lambda statement: statement,
            )  # fmt: skip
            released += 1
        except SQLAlchemyError as caught:
            fault = str(caught)
    assert "full" in fault
    with journal._engine.connect() as connection:
        counts = [
            connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("spooled_notice", "release", "stored_answer")
        ]
    assert counts == [released] * 3, "statement, journal and answer together, or none of them"
