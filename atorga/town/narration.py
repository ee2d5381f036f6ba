"""The story's steps as they are told: printed while they happen, kept for the page that tells it in pictures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

LANGUAGES = ("es", "ca", "en")
_FOLDER = Path(__file__).with_name("languages")


def load(language: str) -> dict[str, str]:
    """The sentences of one language; the same keys stand in all (a test holds them equal)."""
    return dict(json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8")))


def in_words(values: Mapping[str, object], texts: Mapping[str, str]) -> dict[str, object]:
    """Who caught it is a word of ours; all else stands as it happened."""
    return {name: texts[f"who.{value}"] if name == "who" else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """``key`` names the sentence ``step.KEY``; ``facts`` are lines below it: (key of ``fact.KEY``, values)."""

    act: int
    number: int
    key: str
    values: Mapping[str, object]
    facts: tuple[tuple[str, Mapping[str, object]], ...]


@dataclass(slots=True)
class Narration:
    out: TextIO
    language: str
    steps: list[Step] = field(default_factory=list)
    _act: int = 0
    _number: int = 0
    _texts: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._texts = load(self.language)

    def say(self, key: str, **values: object) -> None:
        self.out.write(self._texts[key].format(**values) + "\n")
        self.out.flush()

    def act(self, number: int) -> None:
        self._act, self._number = number, 0
        self.out.write("\n")
        self.say(f"act.{number}")

    def wait(self, key: str) -> None:
        """Said before something that takes a while."""
        self.out.write("   " + self._texts[f"wait.{key}"] + "\n")
        self.out.flush()

    def step(self, key: str, *facts: tuple[str, Mapping[str, object]], **values: object) -> None:
        self._number += 1
        self.steps.append(Step(self._act, self._number, key, values, facts))
        sentence = self._texts[f"step.{key}"].format(**values)
        self.out.write(f"\n{self._act}.{self._number}  {sentence}\n")
        for fact, its in facts:
            sentence = self._texts[f"fact.{fact}"].format(**in_words(its, self._texts))
            self.out.write(f"      → {sentence}\n")
        self.out.flush()
