"""Why nothing was read, in sentences for the service's staff: by attribute and rule, in their language.

The codes are for programs and stay the same in every language; who they are about is told to the
grant's own service alone (WIRE C4), and so these sentences are too.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from verifier.kit.outcome import Refused

LANGUAGES = ("es", "ca", "en")
FALLBACK = "en"

MAX_CODE = 64


def sentences(refused: Refused, language: str, *, labels: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One sentence a reason; ``labels`` are words for attributes, where the service has some.

    A language that we have no words in gets English.
    """
    table = _table(language if language in LANGUAGES else FALLBACK)
    about: dict[str, list[str]] = {}
    for code, attribute in refused.attributes:
        about.setdefault(code, []).append((labels or {}).get(attribute, attribute))
    found = []
    for code in refused.reasons:
        sentence = table.get(code) or table["other"].format(code=code[:MAX_CODE])
        names = ", ".join(about.get(code, ()))
        found.append(table["of"].format(attribute=names, sentence=sentence) if names else sentence)
    return tuple(found)


@cache
def _table(language: str) -> Mapping[str, str]:
    text = (files("verifier.kit") / "languages" / f"{language}.json").read_text(encoding="utf-8")
    table: Mapping[str, str] = json.loads(text)
    return table
