"""What the pages say: one catalogue a language, ``languages/CODE.json``; a test holds their keys equal."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

LANGUAGES = ("es", "ca", "en")
FALLBACK = "en"

NAMES = {"es": "Español", "ca": "Català", "en": "English"}

MAX_ACCEPT_LANGUAGE = 512
"""Characters read of a header that anybody can make long."""


class Texts:
    def __init__(self, language: str, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    def __call__(self, key: str, /, **values: object) -> str:
        return self._table[key].format(**values)

    def label(self, group: str, name: str) -> str:
        """Our word for a known name (``claim.district``), else the name itself."""
        return self._table.get(f"{group}.{name}", name)

    def pick(self, by_language: Mapping[str, str]) -> str:
        """Another party's text in this language, else in one of ours, else any."""
        for code in (self.language, *LANGUAGES):
            if found := by_language.get(code):
                return found
        return next(iter(by_language.values()), "")


@cache
def load(language: str) -> Texts:
    source = files("verifier.portal") / "languages" / f"{language}.json"
    return Texts(language, json.loads(source.read_text(encoding="utf-8")))


def in_every_language(key: str) -> dict[str, str]:
    """Language → our sentence, for whoever will show it in a language of their own choice."""
    return {language: load(language)(key) for language in LANGUAGES}


def negotiate(chosen: str | None, accept_language: str) -> str:
    """A language named outright, else the first of ``Accept-Language`` that we have (RFC 9110 section 12.5.4)."""
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, int, str]] = []
    for place, entry in enumerate(accept_language[:MAX_ACCEPT_LANGUAGE].split(",")):
        tag, _, parameter = entry.partition(";")
        code = tag.strip().lower().partition("-")[0]
        if code in LANGUAGES and (quality := _quality(parameter)) > 0:
            wanted.append((-quality, place, code))
    return min(wanted)[2] if wanted else FALLBACK


def _quality(parameter: str) -> float:
    name, separator, value = parameter.strip().partition("=")
    if not separator or name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
