"""The dishonest-operator suite: each way to cheat that a log can show is found by the auditor, by its own name.

What Go's client says of the same logs is in ``tests/interop/test_go_auditor.py``; what only wallets, data
holders and witnesses can see has its tests with them (``docs/threat-model.md`` lists all).
"""

from pathlib import Path

import pytest

from consent.errors import LogError
from consent.ledger.audit import AuditReport, PeriodLog, audit
from consent.ledger.numbers import PublishedNumbers, parse_numbers
from consent.ledger.promises import read_promises
from consent.log import note
from consent.log.quorum import Quorum
from consent.log.reader import LogReader, from_folder
from consent.log.seen import SeenCheckpoint
from tests.architecture.named_tests import ROOT, missing, named_in
from tests.dishonest_log import KEY, NOW, SCENARIOS, WITNESS_KEY, Scenario, Shown, town, write


def audited(shown: Shown) -> AuditReport:
    logs = []
    for folder in (shown.previous, shown.folder):
        if folder is not None:
            reader = LogReader(from_folder(folder), KEY, max_entry_bytes=80)
            logs.append(PeriodLog(reader, reader.checkpoint()))
    return audit(
        logs,
        seen=[SeenCheckpoint(one) for one in shown.seen],
        quorum=Quorum((WITNESS_KEY,), 1) if shown.quorum is not None else None,
        quorum_required=bool(shown.quorum),
        now=NOW,
        promises=read_promises("\n".join(shown.promises), KEY),
        numbers=_numbers(shown),
    )


def _numbers(shown: Shown) -> PublishedNumbers | None:
    if shown.numbers is None:
        return None
    then, now = shown.numbers
    return parse_numbers(now, parse_numbers(then))


def test_the_honest_town_passes(tmp_path: Path) -> None:
    write(tmp_path / "log", town().entries)
    assert audited(Shown(tmp_path / "log")).passed


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_auditor_finds_it(tmp_path: Path, scenario: Scenario) -> None:
    report = audited(scenario.build(tmp_path))
    assert not report.passed
    assert scenario.code in {finding.code for finding in report.findings}


def test_each_cheat_is_told_from_the_others() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 15
    assert sum(scenario.go for scenario in SCENARIOS) >= 30


def test_the_threat_model_lists_them() -> None:
    text = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    chapter = text.split("\n## What a dishonest operator tries\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in chapter.splitlines() if line[:3] == "| `"]
    told = {row[0].strip("`"): (row[3].startswith("*A*"), "*G*" in row[3], "Go client" in row[2]) for row in rows}
    assert told == {scenario.name: (True, scenario.go, scenario.go) for scenario in SCENARIOS}
    assert "| – |" in chapter and not missing(named_in(chapter))


def test_partial_files_that_are_gone_are_no_cheat(tmp_path: Path) -> None:
    """tlog-tiles: a partial tile may be deleted once the full one is there."""
    history = town()
    while len(history.leaves) < 256:
        history.step()
    write(tmp_path / "log", history.entries[:200])
    early = (tmp_path / "log/checkpoint").read_bytes()
    write(tmp_path / "log", history.entries[200:256])
    for path in ("tile/0/000.p", "tile/entries/000.p"):
        for one in (tmp_path / "log" / path).iterdir():
            one.unlink()
    (tmp_path / "log/checkpoint").write_bytes(early)
    assert audited(Shown(tmp_path / "log")).passed


@pytest.mark.parametrize("twice", ["name", "key"])
def test_one_witness_under_two_names_is_no_quorum(twice: str) -> None:
    other = note.NoteKey(
        WITNESS_KEY.name if twice == "name" else "other.example",
        note.COSIGNATURE_V1,
        WITNESS_KEY.public if twice == "key" else KEY.public,
    )
    with pytest.raises(LogError, match="named twice"):
        Quorum((WITNESS_KEY, other), 2)


def test_a_promise_that_is_not_due_yet_is_no_finding(tmp_path: Path) -> None:
    from consent.ledger.promise import sign_promise
    from tests.dishonest_log import SIGNER

    history = town()
    history.end(history.live[0])
    leaf = history.leaves.pop()
    write(tmp_path / "log", history.entries)
    shown = Shown(tmp_path / "log", promises=[sign_promise(leaf, due=NOW + 60, key=KEY, signer=SIGNER)])
    report = audited(shown)
    assert report.passed and dict(report.promises) == {"pending": 1}


def test_a_kept_promise_is_counted(tmp_path: Path) -> None:
    from consent.ledger.promise import sign_promise
    from tests.dishonest_log import SIGNER

    history = town()
    due = (history.minute + 30) * 60
    history.minute += 30
    history.end(history.live[0])
    write(tmp_path / "log", history.entries)
    shown = Shown(tmp_path / "log", promises=[sign_promise(history.leaves[-1], due=due, key=KEY, signer=SIGNER)])
    report = audited(shown)
    assert report.passed and dict(report.promises) == {"kept": 1}
