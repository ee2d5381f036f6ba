"""The three catalogues say the same things, and every sentence the code asks for exists."""

import json
import re
from pathlib import Path
from string import Formatter

import pytest

import wallet_cli
from wallet_cli import texts

ROOM = Path(wallet_cli.__file__).parent
CATALOGUES = {
    language: json.loads((ROOM / "languages" / f"{language}.json").read_text("utf-8")) for language in texts.LANGUAGES
}

ASKED = re.compile(r"""(?:texts|words|say|warn)(?:\.count)?\(\s*f?["']([a-z0-9_.]+)["']""")
"""Keys spelled out in calls; keys put together at run time are covered by their own tests below."""

PLURALS = re.compile(r"""texts\.count\(\s*f?["']([a-z0-9_.]+)["']""")
CODES = re.compile(
    r"""(?:StoreError|NetworkError|CardRefused|OfferError|RequestRefused|ConsentRefused|Declined|UsageFault|WalletError)"""
    r"""\(\s*["']([a-z0-9_]+)["']"""
)
FINDINGS = re.compile(r"""(?:Finding|finding)\(\s*["']([a-z_]+)["'],""")


def sources() -> list[str]:
    return [path.read_text("utf-8") for path in sorted(ROOM.rglob("*.py"))]


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_language_has_every_key(language: str) -> None:
    assert CATALOGUES[language].keys() == CATALOGUES["en"].keys()


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_language_names_the_same_places(language: str) -> None:
    def places(sentence: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(sentence) if name}

    for key, sentence in CATALOGUES[language].items():
        assert sentence.strip(), key
        assert places(sentence) == places(CATALOGUES["en"][key]), key


def test_every_key_the_code_asks_for_exists() -> None:
    asked = {key for source in sources() for key in ASKED.findall(source)}
    plural = {key for source in sources() for key in PLURALS.findall(source)}
    assert len(asked) > 20
    missing = {key for key in asked - plural if key not in CATALOGUES["en"]}
    missing |= {key for key in plural if not {f"{key}.one", f"{key}.many"} <= CATALOGUES["en"].keys()}
    assert not missing


def test_every_refusal_has_its_sentence() -> None:
    codes = {code for source in sources() for code in CODES.findall(source)}
    assert len(codes) > 20
    assert not {code for code in codes if f"error.{code}" not in CATALOGUES["en"]}


def test_no_sentence_stands_unused() -> None:
    spelled = set(re.findall(r"""["']([a-z0-9_.]+)["']""", "\n".join(sources())))
    built = ("help.", "error.", "month.", "duration.", "act.", "claim.", "attribute.", "purpose.", "resolution.",
             "procedure.", "state.", "kind.", "door.", "finding.", "type.", "withdraw.", "needless.",
             "think.", "pausing.", "role.", "verb.")  # fmt: skip
    unused = {
        key
        for key in CATALOGUES["en"]
        if not key.startswith(built) and key.removesuffix(".one").removesuffix(".many") not in spelled
    }
    assert not unused


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ca_ES.UTF-8"}, "ca"),
        ({"LANG": "es_ES"}, "es"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "ca_ES", "LANG": "es_ES"}, "ca"),
        ({"LC_ALL": "fr_FR", "LANG": "es_ES"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_of_the_machine(environment: dict[str, str], language: str) -> None:
    assert texts.language_of(environment) == language


def test_dates_durations_and_other_parties_words() -> None:
    catalan, spanish = texts.load("ca"), texts.load("es")
    assert catalan.date(1_775_044_800) == "1 d’abril de 2026"
    assert spanish.duration(7_776_000) == "90 días"
    assert spanish.duration(60) == "1 minuto"
    assert catalan.pick({"en": "Tax office", "ca-ES": "Hisenda"}) == "Hisenda"
    assert catalan.pick({"fr": "Fisc"}) == "Fisc"
    assert catalan.pick({}) is None


def test_what_a_timeline_finds_has_its_sentences() -> None:
    codes = {code for source in sources() for code in FINDINGS.findall(source)}
    assert len(codes) == 15
    assert all({f"finding.{code}", f"error.{code}"} <= CATALOGUES["en"].keys() for code in codes)


def test_every_kind_state_and_answer_has_its_word() -> None:
    from consent.grant.decision import State
    from consent.ledger.leaf import Kind
    from wallet_cli.consents import withdraw

    words = CATALOGUES["en"].keys()
    assert {f"kind.{kind.word}" for kind in Kind} <= words
    assert {f"state.{state.word}" for state in State} | {"state.sending"} <= words
    answers = (*withdraw.STATES, withdraw.NOTED, withdraw.MISSING)
    assert {f"door.answered.{answer}" for answer in answers} <= words
    assert {f"door.{door}" for door in withdraw.DOORS} <= words
    assert {f"withdraw.{state}" for state in (*withdraw.STATES, withdraw.MISSING)} <= words


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_help_is_in_the_persons_language(language: str) -> None:
    from wallet_cli import arguments

    shown = arguments.build(texts.load(language)).format_help()
    assert shown.startswith(CATALOGUES[language]["help.usage"])
    if language != "en":
        assert not re.search(r"\b(usage|options|arguments|show this)\b", shown)


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_sentences_are_short(language: str) -> None:
    """For a resident of seventy: at most twenty words from one full stop, colon or semicolon to the next."""
    long = {
        key
        for key, text in CATALOGUES[language].items()
        for sentence in re.split(r"[.!?:;]\s+|\n", text)
        if len(sentence.split()) > 20
    }
    assert not long
