"""The three catalogues say the same things, and every sentence the pages ask for exists."""

import json
import re
from pathlib import Path
from string import Formatter

import pytest

import verifier.portal
from consent.grant.use import REASONS
from verifier import errors
from verifier.acceptance import Level
from verifier.portal import texts

ROOM = Path(verifier.portal.__file__).parent
CATALOGUES = {
    language: json.loads((ROOM / "languages" / f"{language}.json").read_text("utf-8")) for language in texts.LANGUAGES
}
ASKED = re.compile(r"""\b(?:t|texts)\(\s*["']([a-z0-9_.]+[a-z0-9_])["']""")
"""Keys spelled out; those put together at run time are covered by their own test below."""


def sources() -> str:
    return "\n".join(path.read_text("utf-8") for kind in ("*.py", "*.html") for path in sorted(ROOM.rglob(kind)))


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_language_says_the_same(language: str) -> None:
    def places(sentence: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(sentence) if name}

    assert list(CATALOGUES[language]) == list(CATALOGUES["en"])
    for key, sentence in CATALOGUES[language].items():
        assert sentence.strip(), key
        assert places(sentence) == places(CATALOGUES["en"][key]), key


def test_nothing_is_left_in_english() -> None:
    for key, sentence in CATALOGUES["en"].items():
        assert CATALOGUES["es"][key] != sentence, key
        assert CATALOGUES["ca"][key] != sentence, key


def test_every_sentence_the_pages_ask_for_exists() -> None:
    asked = set(ASKED.findall(sources()))
    assert len(asked) > 40
    assert asked <= CATALOGUES["en"].keys()


def test_every_code_has_its_sentence() -> None:
    codes = {errors.UNTRUSTED_ISSUER, errors.CREDENTIAL_REVOKED, errors.STATUS_UNAVAILABLE, errors.INVALID_PRESENTATION}
    assert {f"refused.{code}" for code in codes | {"access_denied", "request_expired", "other_session"}} <= CATALOGUES[
        "en"
    ].keys()
    assert {f"reason.{code}" for code in REASONS} <= CATALOGUES["en"].keys()
    assert {f"subsidy.{state}" for state in ("given", "withdrawn")} <= CATALOGUES["en"].keys()
    assert {f"account.level.{level}" for level in Level} <= CATALOGUES["en"].keys()


@pytest.mark.parametrize(
    ("chosen", "header", "language"),
    [
        (None, "", "en"),
        (None, "ca", "ca"),
        (None, "ca-ES,es;q=0.9", "ca"),
        (None, "es;q=0.1, ca;q=0.2", "ca"),
        (None, "es;q=0, ca;q=0.2", "ca"),
        (None, "fr, de", "en"),
        (None, "es;q=x, ca;q=0.2", "ca"),
        (None, "fr," * 300 + "es", "en"),
        ("ca", "es", "ca"),
        ("xx", "es", "es"),
        ("../es", "", "en"),
    ],
)
def test_negotiation(chosen: str | None, header: str, language: str) -> None:
    assert texts.negotiate(chosen, header) == language


def test_another_partys_text_in_the_language_that_is_nearest() -> None:
    catalan = texts.load("ca")
    assert catalan.pick({"en": "Tax office", "ca": "Hisenda"}) == "Hisenda"
    assert catalan.pick({"en": "Tax office", "es": "Hacienda"}) == "Hacienda"
    assert catalan.pick({"fr": "Trésor", "de": "Finanzamt"}) == "Trésor"
    assert catalan.pick({}) == ""
