"""Limits that keep a notice readable: short sentences, few words, none of the law's own.

They measure form; whether a text is true and clear, only a person can say.
"""

import re
from collections.abc import Iterator, Mapping

MAX_WORDS = 60
"""Of a whole notice: what fits on a telephone without scrolling."""
MAX_SENTENCE_WORDS = 30
MAX_WORD_LETTERS = 18
"""Longer words are a sign of an office speaking to itself."""

LEGAL_WORDS: Mapping[str, frozenset[str]] = {
    "es": frozenset(
        {"artículo", "conformidad", "disposición", "dispuesto", "fehaciente", "legitimación", "normativa", "ostentar",
         "reglamento", "susodicho", "supletorio", "tenor", "tratamiento", "vigente"}
    ),
    "ca": frozenset(
        {"article", "conformitat", "disposició", "fefaent", "legitimació", "normativa", "ostentar", "reglament",
         "supletori", "tenor", "tractament", "vigent"}
    ),
    "en": frozenset(
        {"aforementioned", "article", "controller", "hereby", "hereinafter", "lawfulness", "notwithstanding",
         "processing", "provisions", "pursuant", "regulation", "thereof"}
    ),
}  # fmt: skip
"""Words of statutes that say nothing to most residents. The law is cited in the declaration, not in the notice."""

_WORD = re.compile(r"[^\W\d_]+(?:['’·-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;]+(?:\s|$)")
_ABBREVIATION = re.compile(r"\b[A-ZÀ-Ý]{3,}\b")
KNOWN_ABBREVIATIONS = frozenset({"DNI", "NIE"})


def faults(text: str, language: str) -> Iterator[str]:
    """What is wrong with a text, one sentence each."""
    words = _WORD.findall(text)
    if not words:
        yield "it says nothing"
        return
    if len(words) > MAX_WORDS:
        yield f"it has {len(words)} words, at most {MAX_WORDS} are read"
    longest = max(len(_WORD.findall(sentence)) for sentence in _SENTENCE_END.split(text))
    if longest > MAX_SENTENCE_WORDS:
        yield f"a sentence has {longest} words, at most {MAX_SENTENCE_WORDS} are understood"
    if long := [word for word in words if len(word) > MAX_WORD_LETTERS]:
        yield f"{long[0]!r} is a long word"
    if legal := sorted({word.casefold() for word in words} & LEGAL_WORDS.get(language, frozenset())):
        yield f"{legal[0]!r} is a word of the law"
    if unknown := sorted(set(_ABBREVIATION.findall(text)) - KNOWN_ABBREVIATIONS):
        yield f"{unknown[0]!r} is an abbreviation"
