"""What the screen says, in Spanish, Catalan and English.

One catalogue file per language, `languages/CODE.json`: key → sentence with ``{named}`` places.
The same keys stand in all three (a test holds them equal). Sentences are for a resident of
seventy who has never read a standard: no word of a protocol, no word of English in the others.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LANGUAGES = ("es", "ca", "en")
FALLBACK = "en"
PAIRWISE_PATH = "ids."
"""What follows is the party that alone knows the number (DESIGN section 5)."""

_FOLDER = Path(__file__).with_name("languages")
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def language_of(environment: Mapping[str, str]) -> str:
    """The first set variable decides, as in POSIX; an unknown language is English."""
    for name in _VARIABLES:
        if value := environment.get(name):
            code = value.partition(".")[0].partition("_")[0].lower()
            return code if code in LANGUAGES else FALLBACK
    return FALLBACK


def load(language: str) -> "Texts":
    table = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return Texts(language, table)


class Texts:
    def __init__(self, language: str, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    def __call__(self, key: str, /, **values: object) -> str:
        return self._table[key].format(**values)

    def get(self, key: str) -> str | None:
        return self._table.get(key)

    def count(self, key: str, number: int, /, **values: object) -> str:
        """``KEY.one`` or ``KEY.many``, with ``{n}``."""
        return self(f"{key}.{'one' if number == 1 else 'many'}", n=number, **values)

    def date(self, numeric: int) -> str:
        """A day of the person's own calendar."""
        day = time.localtime(numeric)
        return self("date", day=day.tm_mday, month=self(f"month.{day.tm_mon}"), year=day.tm_year)

    def moment(self, numeric: int) -> str:
        at = time.localtime(numeric)
        return self("moment", date=self.date(numeric), time=f"{at.tm_hour:02}:{at.tm_min:02}")

    def duration(self, seconds: int) -> str:
        """In the largest unit that measures it exactly."""
        for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
            if seconds >= size and seconds % size == 0:
                return self.count(f"duration.{unit}", seconds // size)
        return self.count("duration.second", seconds)

    def pick(self, by_language: Mapping[str, str]) -> str | None:
        """Another party's text in this person's language, else in one of ours, else any; None where there is none."""
        for tag in (self.language, *LANGUAGES):
            for offered, text in by_language.items():
                if offered.partition("-")[0].lower() == tag and text:
                    return text
        return next(iter(by_language.values()), None)

    def claim(self, path: str, names: Callable[[str], Mapping[str, str]] = lambda _: {}) -> str:
        """Our word for a claim of a credential, by its dotted path; ``names``: how a party is called."""
        if path.startswith(PAIRWISE_PATH):
            from wallet_cli.terminal import plain

            party = path.removeprefix(PAIRWISE_PATH)
            return self("claim.pairwise", party=plain(self.pick(names(party)) or party))
        return self.label("claim", path)

    def value(self, value: Any) -> str:
        """A claim's value, for its owner's screen."""
        from wallet_cli.terminal import plain

        if isinstance(value, bool):
            return self("value.yes" if value else "value.no")
        if isinstance(value, dict | list):
            return ", ".join(map(self.value, value.values() if isinstance(value, dict) else value))
        return plain(str(value))

    def label(self, group: str, name: str) -> str:
        """Our word for a known name (``claim.birthdate``), else the name itself, made harmless."""
        from wallet_cli.terminal import plain

        return self._table.get(f"{group}.{name}") or plain(name)
