"""The story is told in three languages: the same sentences, the same places in them."""

import re
import string

import pytest

from atorga.town.narration import LANGUAGES, load
from atorga.town.story_page import PICTURES

CATALOGUES = {language: load(language) for language in LANGUAGES}


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_same_keys_and_places(language: str) -> None:
    assert CATALOGUES[language].keys() == CATALOGUES["en"].keys()
    for key, sentence in CATALOGUES[language].items():
        assert places(sentence) == places(CATALOGUES["en"][key]), key


def test_each_step_has_its_picture() -> None:
    assert {key.removeprefix("step.") for key in CATALOGUES["en"] if key.startswith("step.")} == PICTURES.keys()


@pytest.mark.parametrize("language", ["es", "ca"])
def test_no_sentence_left_in_english(language: str) -> None:
    same = [
        key
        for key, text in CATALOGUES[language].items()
        if text == CATALOGUES["en"][key] and re.search("[a-z]{4}", text)
    ]
    assert not [key for key in same if key not in ("closing.portal", "page.resident")]
