"""Two plots as SVG: how the log grew, and how soon after the end of a grant an attempt was refused."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 34

MAX_POINTS = 600
"""More cannot be told apart on a screen."""

MAX_BARS = 20

Number = Callable[[int], str]


def growth(counted: Mapping[int, int], *, label: str, number: Number) -> str:
    """``counted``: minute since 1970 → entries of that minute; drawn as entries in all over time."""
    minutes = sorted(counted)
    total, points = 0, []
    for minute in minutes:
        total += counted[minute]
        points.append((minute, total))
    if not points:
        return ""
    first, last = minutes[0], max(minutes[-1], minutes[0] + 1)
    points = [(first, 0), *_thinned(points), (last, total)]
    top = nice(total)

    def x(minute: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute - first) / (last - first)

    def y(value: int) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    # The log grows in steps: it has what it had until the next entry comes.
    line = f"M{x(first):.1f},{y(0):.1f}"
    for (_, before), (minute, value) in pairwise(points):
        line += f"L{x(minute):.1f},{y(before):.1f}L{x(minute):.1f},{y(value):.1f}"
    area = f"{line}L{x(last):.1f},{y(0):.1f}Z"
    marks = [(x(minute), _moment(minute, last - first)) for minute in _between(first, last, 4)]
    return _frame(
        label,
        _levels(top, y, number) + _ticks(marks) + f'<path class="area" d="{area}"/><path class="line" d="{line}"/>',
    )


def bars(counted: Mapping[int, int], *, label: str, number: Number, more: str) -> str:
    """``counted``: minutes → how often; what is more than ``MAX_BARS`` stands in one last bar, named ``more``."""
    if not counted:
        return ""
    last = min(max(counted), MAX_BARS)
    heights = [counted.get(value, 0) for value in range(last)]
    heights.append(sum(count for value, count in counted.items() if value >= last))
    top = nice(max(heights))
    step = (WIDTH - LEFT - RIGHT) / len(heights)

    def y(value: int) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    drawn, marks = "", []
    every = max(1, len(heights) // 10)
    for value, count in enumerate(heights):
        at = LEFT + step * value
        name = f"≥ {value}" if value == last and max(counted) > last else str(value)
        drawn += (
            f'<g class="bar"><title>{escape(name)} {escape(more)}: {escape(number(count))}</title>'
            f'<rect x="{at + step * 0.12:.1f}" y="{y(count):.1f}" width="{min(step * 0.76, 60):.1f}" '
            f'height="{HEIGHT - BOTTOM - y(count):.1f}"/></g>'
        )
        if value % every == 0 or value == last:
            marks.append((at + min(step * 0.5, 30 + step * 0.12), name))
    return _frame(label, _levels(top, y, number) + _ticks(marks) + drawn)


def nice(value: int) -> int:
    """The next round number that is not smaller."""
    size = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if value <= step * size:
                return step * size
        size *= 10


def _frame(label: str, content: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label={quoteattr(label)}>{content}'
        f'<line class="axis" x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - RIGHT}" y2="{HEIGHT - BOTTOM}"/></svg>'
    )


def _levels(top: int, y: Callable[[int], float], number: Number) -> str:
    values = sorted({0, top // 2, top})
    return "".join(
        f'<line class="grid" x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(value) + 5:.1f}" text-anchor="end">{escape(number(value))}</text>'
        for value in values
    )


def _ticks(marks: Sequence[tuple[float, str]]) -> str:
    """The first and last stand inside the frame."""
    drawn = ""
    for x, name in marks:
        anchor = "start" if x < LEFT + 8 else "end" if x > WIDTH - RIGHT - 8 else "middle"
        drawn += f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="{anchor}">{escape(name)}</text>'
    return drawn


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    every = -(-len(points) // MAX_POINTS)
    return points if every == 1 else [*points[::every], points[-1]]


def _between(first: int, last: int, parts: int) -> list[int]:
    found = [first + (last - first) * part // parts for part in range(parts + 1)]
    return list(dict.fromkeys(found))


def _moment(minute: int, span: int) -> str:
    at = datetime.fromtimestamp(minute * 60, UTC)
    if span < 2 * 1_440:
        return f"{at:%H:%M}"
    return f"{at:%Y-%m-%d}" if span > 200 * 1_440 else f"{at:%d/%m}"
