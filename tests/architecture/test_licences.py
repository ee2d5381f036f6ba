"""What runs with Atorga is permissively licensed: no GPL, AGPL or LGPL (DESIGN section 11)."""

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPYLEFT = re.compile(r"\b(A|L)?GPL|GNU (Affero |Lesser |Library )?General Public", re.IGNORECASE)

# Named, with the reason why the package's metadata does not tell the whole story.
EXPLAINED: dict[str, str] = {}


def locked() -> list[str]:
    text = (ROOT / "locks" / "runtime.txt").read_text()
    return re.findall(r"^([a-z0-9][\w.\-]*)==(?![^\n]*sys_platform == 'win32')", text, re.MULTILINE)


def licence_of(package: Distribution) -> str:
    meta = package.metadata
    classifiers = [line for line in meta.get_all("Classifier") or [] if line.startswith("License ::")]
    expression = "".join(meta.get_all("License-Expression") or [])
    # Some packages put the whole text here; its first line names it.
    first_line = "".join(meta.get_all("License") or []).strip().splitlines()[:1]
    return " | ".join([expression, *classifiers, *first_line])


@pytest.mark.parametrize("name", locked())
def test_no_copyleft_at_run_time(name: str) -> None:
    try:
        package = distribution(name)
    except ImportError:
        pytest.skip("for another platform or Python")
    if name not in EXPLAINED:
        assert not COPYLEFT.search(licence_of(package)), licence_of(package)


def test_the_search_finds_copyleft() -> None:
    for text in ("LGPL-3.0-or-later", "GNU Affero General Public License", "License :: OSI Approved :: GPLv3"):
        assert COPYLEFT.search(text)
