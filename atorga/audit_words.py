"""What the auditor's command says, in Spanish, Catalan and English.

One catalogue a language, ``languages/audit.CODE.json``; the same keys stand in all three (a test
holds them equal). Each kind of finding has a sentence of its own.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from consent.ledger.findings import Finding
from consent.ledger.leaf import DAY_SECONDS, END_DAY_EPOCH

_FOLDER = Path(__file__).with_name("languages")

MINUTES = frozenset(
    {
        "minute-falls", "not-a-day", "minute-ahead", "before-it-was-seen", "after-it-was-seen", "minute-told",
        "refusals-flood", "deleted-too-early", "promise-broken", "promise-late",
    }
)  # fmt: skip
"""Findings whose values are minutes since 1970."""
DAYS = frozenset({"longer", "use-after-end-day"})
"""Findings whose values are days since 2020."""


class Words:
    def __init__(self, language: str) -> None:
        self._table = load(language)
        self._thousands = "," if language == "en" else "."

    def __call__(self, key: str, /, **values: object) -> str:
        return self._table[key].format(**values)

    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", self._thousands)

    def time(self, seconds: int) -> str:
        try:
            return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
        except (ValueError, OverflowError, OSError):
            # A witness may sign any 64-bit number.
            return str(seconds)

    def finding(self, finding: Finding) -> str:
        sentence = self(
            f"finding.{finding.code}",
            found=self._value(finding.code, finding.found),
            expected=self._value(finding.code, finding.expected),
        )
        if finding.leaf_index is None:
            return sentence
        return self("at", index=self.number(finding.leaf_index), sentence=sentence)

    def _value(self, code: str, value: int | str) -> str:
        if isinstance(value, str):
            return self._table.get(f"kind.{value}", value)
        if code in MINUTES:
            return self.time(value * 60)
        if code in DAYS:
            return self.time(END_DAY_EPOCH + value * DAY_SECONDS)[:10]
        return self.number(value)


def load(language: str) -> dict[str, str]:
    return dict(json.loads((_FOLDER / f"audit.{language}.json").read_text(encoding="utf-8")))
