"""What the pages say, in Spanish, Catalan and English; findings, checks and kinds in the words of the audit."""

import json
from pathlib import Path

from atorga.audit_words import Words

LANGUAGES = ("es", "ca", "en")
NAMES = {"es": "Español", "ca": "Català", "en": "English"}

_FOLDER = Path(__file__).with_name("languages")


class Texts(Words):
    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.language = language
        self._table |= load(language)


def load(language: str) -> dict[str, str]:
    return dict(json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8")))


def chosen(asked: str | None, accepted: str) -> str:
    """The language of a page: the one in its address, else the first that the browser accepts."""
    if asked in LANGUAGES:
        return asked
    for part in accepted.split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return LANGUAGES[0]
