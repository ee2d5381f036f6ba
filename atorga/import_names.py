"""Our import names are plain words (docs/adr/0001): another distribution may have installed one of them too."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("identity", "consent", "wallet_cli", "verifier")


def clash(home: Path | None = None) -> str | None:
    """A sentence where one of our packages would be imported from elsewhere than this one; else None."""
    ours = home or Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        found = find_spec(name)
        origin = None if found is None or found.origin is None else Path(found.origin).resolve().parents[1]
        if origin != ours:
            where = "nowhere" if origin is None else str(origin)
            return f"The package {name!r} would come from {where}, not from {ours}: another distribution has its name."
    return None
