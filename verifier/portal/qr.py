"""A QR code as inline SVG: sharp at any size, no image to fetch, nothing that a style must allow."""

from markupsafe import Markup

QUIET_ZONE = 4
"""Modules of white around it (ISO/IEC 18004 section 6.3.8)."""


def svg(text: str, *, label: str) -> Markup:
    """``label`` is what a screen reader says instead."""
    # Imported here: only pages with a code need it.
    import qrcode
    from qrcode.constants import ERROR_CORRECT_M

    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE)
    code.add_data(text)
    matrix = code.get_matrix()
    size = len(matrix)
    runs = "".join(_row(y, row) for y, row in enumerate(matrix))
    # The path is made of numbers of ours; the label is escaped.
    return Markup(
        '<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" role="img" aria-label="{label}"'
        ' shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#fff"/>'
        '<path d="{runs}" fill="#000"/></svg>'
    ).format(size=size, label=label, runs=runs)


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
