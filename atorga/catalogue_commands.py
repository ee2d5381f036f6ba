"""``atorga vocabulary`` and ``atorga procedures``: what whoever writes declarations looks up and checks.

vocabulary SEARCH      terms of the Data Privacy Vocabulary, best first
procedures list        the catalogue that ships
procedures lint PATH   what is wrong with an entry, or with every entry of a folder
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

MAX_SHOWN = 20
LANGUAGES = ("es", "ca", "en", "eu", "gl")


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds both to the commands of ``atorga``."""
    words = commands.add_parser("vocabulary", help="search the purposes and categories of DPV 2.3")
    words.add_argument("search", nargs="+", metavar="SEARCH")
    words.add_argument("--language", choices=LANGUAGES, default="en", help="of the labels (default: en)")

    procedures = commands.add_parser("procedures", help="the catalogue of procedures")
    acts = procedures.add_subparsers(dest="act", required=True, metavar="ACT")
    shown = acts.add_parser("list", help="the entries that ship")
    shown.add_argument("--language", choices=LANGUAGES, default="en")
    lint = acts.add_parser("lint", help="check entries; exit code 1 where something is wrong")
    lint.add_argument("path", type=Path, metavar="FILE|DIR")


def run(given: argparse.Namespace, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """0 done, 1 something is wrong or nothing was found, 2 a path that cannot be read."""
    out, err = stdout or sys.stdout, stderr or sys.stderr
    if given.command == "vocabulary":
        return _search(" ".join(given.search), given.language, out)
    if given.act == "list":
        return _list(given.language, out)
    try:
        faults = list(_lint(given.path))
    except OSError as fault:
        print(f"{given.path}: {fault.strerror}", file=err)
        return 2
    for line in faults:
        print(line, file=err)
    return 1 if faults else 0


def _search(text: str, language: str, out: TextIO) -> int:
    from consent.procedure.vocabulary import vocabulary

    found = vocabulary().search(text, language, at_most=MAX_SHOWN)
    for term in found:
        label = term.label_in(language)
        fallen_back = "" if label.language == language else f" [{label.language}]"
        print(f"{label.text}{fallen_back}\n  {term.iri}\n  {term.definition}", file=out)
    return 0 if found else 1


def _list(language: str, out: TextIO) -> int:
    from consent.procedure.entry import bundled
    from consent.procedure.vocabulary import FALLBACKS

    for entry in bundled():
        name = entry.name.get(language) or entry.name[FALLBACKS[language]]
        attributes = ", ".join(one.name for one in entry.attributes)
        print(f"{entry.id}: {name} ({attributes}; {entry.source or 'illustrative'})", file=out)
    return 0


def _lint(path: Path) -> Iterator[str]:
    from consent.errors import MessageError
    from consent.procedure import entry_lint
    from consent.procedure.entry import SUFFIX, read_entry

    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        yield f"{path}: no entry ({SUFFIX}) is there"
    for file in files:
        try:
            entry = read_entry(file.read_bytes(), file.stem)
        except MessageError as fault:
            yield f"{file}: {fault}"
            continue
        yield from (f"{file}: {fault}" for fault in entry_lint.faults(entry))
