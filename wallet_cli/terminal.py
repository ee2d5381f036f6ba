"""The screen: what a person reads, what a script reads, and questions.

A person's text goes to stdout; with ``--json`` it goes to stderr, and stdout carries one object as
its last line. What other parties wrote (names, purposes, labels) passes `plain` first: a terminal
obeys control characters, and a name must not be able to rewrite the line that warns about it.
"""

import getpass
import json
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, TextIO

MAX_FOREIGN_TEXT = 300
"""Characters of another party's text that are shown; a longer one would push warnings off the screen."""

_RED, _PLAIN, _ERASE_LINE = "\x1b[1;31m", "\x1b[0m", "\x1b[K"


def plain(text: str) -> str:
    """Another party's text without control, format and line-breaking characters."""
    shown = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co") else character
        for character in text[: MAX_FOREIGN_TEXT + 1]
    )
    return shown if len(shown) <= MAX_FOREIGN_TEXT else shown[:MAX_FOREIGN_TEXT] + "…"


class Terminal:
    """``assume_yes`` is ``--yes``: it answers questions, it never turns a failed check into a passed one."""

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        colourless: bool = False,
    ) -> None:
        self._stdin = stdin or sys.stdin
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._colourless = colourless
        self.json = False
        self.assume_yes = False

    def say(self, text: str = "") -> None:
        print(text, file=self._stderr if self.json else self._stdout, flush=True)

    def warn(self, text: str) -> None:
        print(text, file=self._stderr, flush=True)

    def alarm(self, text: str) -> None:
        """A warning of the grave kind: in red where a person looks at a terminal that has colours."""
        coloured = self._stderr.isatty() and not self._colourless
        self.warn(f"{_RED}{text}{_PLAIN}" if coloured else text)

    def progress(self, text: str) -> None:
        """A line that the next one writes over; only where a person looks."""
        if self._stderr.isatty():
            print(f"\r{_ERASE_LINE}{text}", end="", file=self._stderr, flush=True)

    def result(self, value: Mapping[str, Any]) -> None:
        """The object of ``--json``; without it nothing, since the text has said it."""
        if self.json:
            print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), file=self._stdout, flush=True)

    def last_line(self, text: str) -> None:
        """A line for scripts that stands on stdout with and without ``--json``."""
        print(text, file=self._stdout, flush=True)

    @property
    def interactive(self) -> bool:
        return self._stdin.isatty()

    def confirm(self, question: str, *, yes: frozenset[str]) -> bool:
        """True where the person (or ``--yes``) agrees. No terminal to ask at = no."""
        if self.assume_yes:
            return True
        if not self.interactive:
            return False
        self.warn(question)
        return self._stdin.readline().strip().casefold() in yes

    def ask(self, question: str) -> str | None:
        """One line; None where there is nobody to ask."""
        if not self.interactive:
            return None
        self.warn(question)
        return self._stdin.readline().rstrip("\n")

    def ask_secret(self, question: str) -> str | None:
        """A line that is not echoed; None where there is nobody to ask."""
        if not self.interactive:
            return None
        return getpass.getpass(f"{question} ", stream=self._stderr)
