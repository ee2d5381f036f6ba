"""A Merkle path as a picture: SVG without script or style of its own, so that any policy lets it be seen.

Read from below: the entry's hash; at each level the one hash that the proof brings, and the hash made of
both; at the top the root that was signed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from consent.log import merkle

LEVEL = 62
BOX, HEIGHT = 150, 30
WIDTH = 640
MIDDLE = WIDTH // 2
ASIDE = 200
MARGIN = 20

Say = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Rung:
    """One level: the hash that the proof brings, the side it stands on, and what both make."""

    sibling: bytes
    is_left: bool
    made: bytes


def ladder(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> list[Rung]:
    """The steps of RFC 9162 section 2.1.3.2, told one by one; the proof was verified before."""
    at, last, value = index, size - 1, merkle.leaf_hash(entry)
    rungs = []
    for sibling in path:
        is_left = bool(at & 1 or at == last)
        if is_left:
            value = merkle.node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = merkle.node_hash(value, sibling)
        at, last = at >> 1, last >> 1
        rungs.append(Rung(sibling, is_left, value))
    return rungs


def draw(entry: bytes, index: int, size: int, path: Sequence[bytes], say: Say) -> str:
    """An ``svg`` element; every hash is also its title, in full."""
    rungs = ladder(entry, index, size, path)
    height = LEVEL * (len(rungs) + 1) + MARGIN
    at_y = height - MARGIN - HEIGHT
    lines, boxes = [], [_box(MIDDLE, at_y, merkle.leaf_hash(entry), "own", say("picture.entry", index=index))]
    for number, rung in enumerate(rungs):
        above = at_y - LEVEL
        other = MIDDLE - ASIDE if rung.is_left else MIDDLE + ASIDE
        lines.append(_line(MIDDLE, at_y, MIDDLE, above + HEIGHT, "own"))
        lines.append(_line(other, at_y, MIDDLE, above + HEIGHT, "given"))
        boxes.append(_box(other, at_y, rung.sibling, "given", say("picture.given")))
        is_root = number == len(rungs) - 1
        name = say("picture.root") if is_root else say("picture.made")
        boxes.append(_box(MIDDLE, above, rung.made, "root" if is_root else "own", name))
        at_y = above
    label = say("picture.label", index=index, size=size, steps=len(rungs))
    return (
        f'<svg class="path" viewBox="0 0 {WIDTH} {height}" role="img" aria-label={quoteattr(label)}>'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _box(x: int, y: int, value: bytes, kind: str, name: str) -> str:
    short = f"{value.hex()[:6]}…{value.hex()[-4:]}"
    return (
        f'<g class="hash {kind}"><title>{escape(name)}: {value.hex()}</title>'
        f'<rect x="{x - BOX // 2}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x}" y="{y + 20}" text-anchor="middle">{short}</text></g>'
    )


def _line(x1: int, y1: int, x2: int, y2: int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
