"""Searches files for strings that must not be there: raw, base64, base64url, hex, UTF-16.

A base64 text of a longer value holds a secret in one of three alignments, so all three are looked
for, without the characters that neighbours change. What is short would be found by chance; the
caller asks for strings that occur nowhere else.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MIN_CHARACTERS = 4
"""Shorter strings lose too much to alignment to be told from chance."""


@dataclass(frozen=True, slots=True)
class Found:
    name: str
    """Which secret, never the secret itself."""
    form: str
    where: str


class SecretSearch:
    def __init__(self, secrets: Mapping[str, str]) -> None:
        """``secrets``: name → the string."""
        self._needles: list[tuple[str, str, bytes]] = []
        for name, secret in secrets.items():
            if len(secret) < MIN_CHARACTERS:
                raise ValueError(f"{name}: too short to be searched for")
            self._needles += [(name, form, needle) for form, needle in forms(secret)]

    def in_bytes(self, content: bytes, where: str) -> list[Found]:
        lowered = content.lower()
        return [
            Found(name, form, where)
            for name, form, needle in self._needles
            if needle in (lowered if form == "hex" else content)
        ]

    def in_files(self, files: Iterable[Path], *, below: Path) -> list[Found]:
        """Every regular file once; paths in the answer are relative to ``below``."""
        found: list[Found] = []
        for path in files:
            if path.is_file() and not path.is_symlink():
                found += self.in_bytes(path.read_bytes(), str(path.relative_to(below)))
        return found


def forms(secret: str) -> list[tuple[str, bytes]]:
    raw = secret.encode("utf-8")
    found = [("raw", raw), ("hex", raw.hex().encode())]
    found += [(name, secret.encode(name)) for name in ("utf-16-le", "utf-16-be")]
    for shift in range(3):
        text = _base64_core(raw, shift)
        found.append(("base64", text))
        url = text.translate(bytes.maketrans(b"+/", b"-_"))
        if url != text:
            found.append(("base64url", url))
    return found


def _base64_core(raw: bytes, shift: int) -> bytes:
    """The characters of base64 that depend on ``raw`` alone when ``shift`` bytes stand before it."""
    encoded = b64encode(b"\0" * shift + raw)
    first = (shift * 8 + 5) // 6
    last = ((shift + len(raw)) * 8) // 6
    return encoded[first:last]
