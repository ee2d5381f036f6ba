"""The end of the demo: what each party learnt and what it did not, with the searches that show it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from atorga.town import joinable, story_page
from atorga.town.act_one import FirstAct
from atorga.town.actors import StoryFailed
from atorga.town.dishonest import read_leaves
from atorga.town.narration import LANGUAGES, load
from atorga.town.population import demo_district, demo_facts
from atorga.town.secret_search import SecretSearch
from atorga.town.stage import Stage
from consent.ledger.leaf import COUNTED
from identity.codec import base64url

PARTIES = ("issuer", "portal", "consent", "holder", "service", "auditor")
"""Rows of the closing table; their words are in the catalogues."""

TABLE_WIDTH = 100


def tell(stage: Stage, first: FirstAct, *, page: Path, seconds: float) -> None:
    """Raises StoryFailed where something was learnt that must not be."""
    narration = stage.narration
    began = time.monotonic()
    narration.out.write("\n")
    narration.say("closing")
    _table(stage)
    figures = {"search": search_consent(stage), "logins": compare_logins(stage, first)}
    sentences = _sentences(first, figures)
    for sentence in sentences[narration.language]:
        narration.out.write(f"{sentence}\n")
    story_page.write(
        page,
        narration.steps,
        language=narration.language,
        closing=sentences,
        parties=PARTIES,
        screen=first.consent_screen.strip(),
        log=_log_lines(stage.town.folder.log_dir),
    )
    narration.say("closing.page", path=page)
    narration.say("closing.seconds", seconds=f"{seconds + time.monotonic() - began:.0f}")


def search_consent(stage: Stage) -> Mapping[str, object]:
    """The operator's whole folder, searched for the demo resident. Raises StoryFailed on a hit."""
    folder = stage.town.folder
    facts = {name: value for name, value in demo_facts(folder).items() if name != "PIN"}
    files = [path for path in folder.state("consent").rglob("*") if path.is_file()]
    found = SecretSearch(facts).in_files(files, below=folder.root)
    if found:
        raise StoryFailed(f"the consent service's folder holds what it must not: {found}")
    return {"hits": len(found), "files": len(files)}


def compare_logins(stage: Stage, first: FirstAct) -> Mapping[str, object]:
    """Logins at two organisations, as received there. Raises StoryFailed where they can be joined."""
    one, other = (joinable.record_login(stage.city, first.resident, party) for party in joinable.ORGANISATIONS)
    # The district was asked for by both, and its name with it.
    asked = {joinable.DISTRICT, demo_district(stage.town.folder)}
    shared, count = joinable.compare(one, other, asked=asked)
    if shared:
        raise StoryFailed(f"two logins share {shared} values")
    return {"shared": shared, "values": count}


def _sentences(first: FirstAct, figures: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for language in LANGUAGES:
        texts = load(language)
        told[language] = [
            *(texts[f"closing.{name}"].format(**values) for name, values in figures.items()),
            texts["closing.latency"].format(ms=f"{first.refused_milliseconds:.0f}"),
        ]
    return told


def _table(stage: Stage) -> None:
    texts = load(stage.narration.language)
    table = Table(show_lines=True)
    for column in ("closing.party", "closing.learnt", "closing.not"):
        table.add_column(texts[column])
    for party in PARTIES:
        table.add_row(*(texts[f"closing.{party}{part}"] for part in ("", ".learnt", ".not")))
    Console(file=stage.narration.out, width=TABLE_WIDTH).print(table)


def _log_lines(log_dir: Path) -> Sequence[story_page.LogLine]:
    lines: list[Any] = []
    for index, leaf in enumerate(read_leaves(log_dir)):
        day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(leaf.minute * 60))
        grant = f"{base64url.encode(leaf.id)[:8]}… #{leaf.counter}" if leaf.kind in COUNTED else "–"
        lines.append(story_page.LogLine(index, leaf.kind.word, day, grant))
    return lines
