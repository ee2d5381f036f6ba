"""RFC 8785: the published inputs and outputs."""

from pathlib import Path

import pytest

from identity.codec import jcs, strict_json

FOLDER = Path(__file__).parent / "jcs"
NAMES = sorted(path.name for path in (FOLDER / "input").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_canonical_form(name: str) -> None:
    value = strict_json.parse((FOLDER / "input" / name).read_bytes(), what=name)
    canonical = jcs.canonicalize(value)
    assert canonical == (FOLDER / "output" / name).read_bytes().rstrip(b"\n")
    assert jcs.canonicalize(strict_json.parse(canonical, what=name)) == canonical


def test_all_were_there() -> None:
    assert len(NAMES) == 6
