"""A QR code as the outline of its dark modules, which a template draws as inline SVG.

Sharp at any size, no image to fetch, nothing that a style must allow.
"""

from dataclasses import dataclass

QUIET_ZONE = 4
"""Modules of white around it (ISO/IEC 18004 section 6.3.8)."""


@dataclass(frozen=True, slots=True)
class QrCode:
    size: int
    """Modules on a side, the quiet zone with them: the side of the SVG's view box."""
    path: str
    """SVG path data."""


def encode(text: str) -> QrCode:
    # Imported here: only pages with a code need it.
    import qrcode
    from qrcode.constants import ERROR_CORRECT_M

    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    matrix = code.get_matrix()
    return QrCode(len(matrix), "".join(_row(y, row) for y, row in enumerate(matrix)))


def _row(y: int, row: list[bool]) -> str:
    """The dark modules of one row, as rectangles one module high."""
    runs: list[str] = []
    start: int | None = None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            runs.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
            start = None
    return "".join(runs)
