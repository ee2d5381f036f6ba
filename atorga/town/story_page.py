"""The story as one HTML file: pictures, no server, no script, nothing fetched. Three languages in the same file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atorga.town.narration import LANGUAGES, Step, in_words, load

ACTORS = ("resident", "issuer", "portal", "service", "consent", "holder", "auditor")
"""From left to right; each step's picture shows who speaks to whom."""

WIDTH, MARGIN = 860, 66


@dataclass(frozen=True, slots=True)
class Arrow:
    start: str
    end: str
    refused: bool = False


PICTURES: Mapping[str, tuple[Arrow, ...]] = {
    "city": (),
    "wallet": (Arrow("issuer", "resident"),),
    "card": (Arrow("resident", "issuer"), Arrow("issuer", "resident")),
    "login": (Arrow("portal", "resident"), Arrow("resident", "portal")),
    "grant": (Arrow("service", "resident"), Arrow("resident", "consent")),
    "use": (Arrow("service", "holder"), Arrow("holder", "consent"), Arrow("holder", "service")),
    "timeline": (Arrow("consent", "resident"),),
    "export": (Arrow("consent", "resident"),),
    "withdraw": (Arrow("resident", "consent"), Arrow("resident", "holder"), Arrow("resident", "service")),
    "refused": (Arrow("service", "holder", refused=True),),
    "audit": (Arrow("consent", "auditor"),),
    "forge": (Arrow("consent", "holder", refused=True),),
    "after": (Arrow("consent", "holder", refused=True),),
    "delete": (Arrow("consent", "resident", refused=True),),
    "backdate": (Arrow("consent", "auditor", refused=True),),
    "fork": (Arrow("consent", "auditor", refused=True),),
}


@dataclass(frozen=True, slots=True)
class DrawnArrow:
    x1: int
    x2: int
    y: int
    refused: bool

    @property
    def middle(self) -> int:
        return (self.x1 + self.x2) // 2


@dataclass(frozen=True, slots=True)
class Told:
    """One step in one language."""

    number: str
    act: int
    sentence: str
    facts: tuple[str, ...]
    arrows: tuple[DrawnArrow, ...]
    involved: frozenset[str]

    @property
    def height(self) -> int:
        return 92 + 26 * max(len(self.arrows) - 1, 0)


@dataclass(frozen=True, slots=True)
class LogLine:
    index: int
    kind: str
    day: str
    grant: str


def write(
    path: Path,
    steps: Sequence[Step],
    *,
    language: str,
    closing: Mapping[str, Sequence[str]],
    parties: Sequence[str],
    screen: str,
    log: Sequence[LogLine],
) -> None:
    """``closing``: language → closing sentences; ``screen``: what the wallet showed before the consent."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("atorga.town"), autoescape=True, undefined=StrictUndefined)
    catalogues = {code: load(code) for code in LANGUAGES}
    html = environment.get_template("story.html").render(
        languages=LANGUAGES,
        chosen=language,
        texts=catalogues,
        told={code: [_told(step, catalogues[code]) for step in steps] for code in LANGUAGES},
        closing=closing,
        parties=parties,
        screen=screen,
        log=log,
        actors=[(name, _x(name)) for name in ACTORS],
        width=WIDTH,
    )
    path.write_text(html, encoding="utf-8")


def _told(step: Step, texts: Mapping[str, str]) -> Told:
    arrows = PICTURES[step.key]
    drawn = tuple(
        DrawnArrow(_x(arrow.start), _x(arrow.end), 62 + 26 * place, arrow.refused) for place, arrow in enumerate(arrows)
    )
    facts = tuple(texts[f"fact.{key}"].format(**in_words(values, texts)) for key, values in step.facts)
    return Told(
        number=f"{step.act}.{step.number}",
        act=step.act,
        sentence=texts[f"step.{step.key}"].format(**step.values),
        facts=facts,
        arrows=drawn,
        involved=frozenset({arrow.start for arrow in arrows} | {arrow.end for arrow in arrows}),
    )


def _x(actor: str) -> int:
    return MARGIN + ACTORS.index(actor) * (WIDTH - 2 * MARGIN) // (len(ACTORS) - 1)
