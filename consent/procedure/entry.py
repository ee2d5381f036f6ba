"""A procedure of the catalogue: what an administrative act needs at least to know, and why (DESIGN §7).

Entries are data: the TOML files in ``entries/``, one a procedure, named by it. A city adds its own in
a folder. Each names the public page it was made from, or says that it is illustrative.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.procedure.declaration import LEGAL_BASES, MAX_ID, MAX_NOTICE, require_resolution
from consent.procedure.vocabulary import require_category, require_purpose
from consent.signed_message import exact, reading
from identity.codec import members

LANGUAGES = ("es", "ca", "en")
"""Whatever a resident reads of an entry stands in all of them."""

ABOUT = ("children", "health", "shelter")
"""Subjects that make a procedure sensitive whatever its attributes are (DESIGN §7)."""

MAX_RETENTION_DAYS = 36_600
MAX_ENTRY_BYTES = 65_536
MAX_ENTRIES = 1_000
MAX_SOURCE = 2_048
SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class NeededAttribute:
    name: str
    category: str
    resolution: str
    """The coarsest that is enough."""
    required: bool
    reason: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProcedureEntry:
    id: str
    purpose: str
    legal_basis: str
    retention_days: int
    sensitive: bool
    source: str | None
    """Address of the public page it follows; None = it is illustrative."""
    about: tuple[str, ...]
    name: Mapping[str, str]
    notice: Mapping[str, str]
    attributes: tuple[NeededAttribute, ...]


def read_entry(content: bytes, name: str) -> ProcedureEntry:
    """``name`` is the file's, without its ending. Raises MessageError with the sentence that its author needs."""
    what = f"procedure {name!r}"
    if len(content) > MAX_ENTRY_BYTES:
        raise MessageError(f"{what}: more than {MAX_ENTRY_BYTES} bytes")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MessageError(f"{what}: not TOML ({type(fault).__name__})") from None
    exact(
        table,
        what,
        {"purpose", "legal_basis", "retention_days", "sensitive", "about", "name", "notice", "attributes"},
        {"source", "illustrative"},
    )
    with reading(what):
        return _entry(table, name, what)


def read_folder(folder: Path) -> list[ProcedureEntry]:
    """Every entry of a folder. Raises MessageError, OSError."""
    if not folder.is_dir():
        raise MessageError("procedures: the folder of the city's own entries is not there")
    found = sorted(folder.glob(f"*{SUFFIX}"))[: MAX_ENTRIES + 1]
    if len(found) > MAX_ENTRIES:
        raise MessageError(f"procedures: more than {MAX_ENTRIES} entries")
    return [read_entry(path.read_bytes(), path.stem) for path in found]


def bundled() -> list[ProcedureEntry]:
    """The entries that ship with this package."""
    folder = files("consent.procedure") / "entries"
    found = sorted(one.name for one in folder.iterdir() if one.name.endswith(SUFFIX))
    return [read_entry((folder / name).read_bytes(), name.removesuffix(SUFFIX)) for name in found]


def _entry(table: Mapping[str, Any], name: str, what: str) -> ProcedureEntry:
    if not 0 < len(name) <= MAX_ID:
        raise MessageError(f"{what}: a name has 1 to {MAX_ID} characters")
    source = members.text(table, "source", what=what, max_length=MAX_SOURCE) if "source" in table else None
    illustrative = members.boolean(table, "illustrative", what=what) if "illustrative" in table else False
    if (source is None) != illustrative:
        raise MessageError(f"{what}: it names its source, or says illustrative = true")
    if source is not None and not source.startswith(("https://", "http://")):
        raise MessageError(f"{what}: the source is the address of a page")
    entry = ProcedureEntry(
        id=name,
        purpose=members.text(table, "purpose", what=what),
        legal_basis=members.text(table, "legal_basis", what=what),
        retention_days=members.integer(table, "retention_days", what=what, minimum=1, maximum=MAX_RETENTION_DAYS),
        sensitive=members.boolean(table, "sensitive", what=what),
        source=source,
        about=members.texts(table, "about", what=what, max_count=len(ABOUT), min_count=0),
        name=_texts(table, "name", what),
        notice=_texts(table, "notice", what),
        attributes=_attributes(table["attributes"], what),
    )
    require_purpose(entry.purpose, what=what)
    if entry.legal_basis not in LEGAL_BASES:
        raise MessageError(f"{what}: legal_basis must be one of {', '.join(LEGAL_BASES)}")
    if set(entry.about) - set(ABOUT):
        raise MessageError(f"{what}: about names {', '.join(ABOUT)} only")
    return entry


def _attributes(value: Any, what: str) -> tuple[NeededAttribute, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= spec.MAX_ATTRIBUTES:
        raise MessageError(f"{what}: 1 to {spec.MAX_ATTRIBUTES} attributes are expected")
    found = tuple(_attribute(one, what) for one in value)
    if len({one.name for one in found}) != len(found):
        raise MessageError(f"{what}: an attribute stands there twice")
    return found


def _attribute(table: Any, what: str) -> NeededAttribute:
    if not isinstance(table, dict):
        raise MessageError(f"{what}: attributes are tables")
    exact(table, what, {"name", "category", "resolution", "required", "reason"})
    attribute = NeededAttribute(
        name=members.text(table, "name", what=what, max_length=spec.MAX_ATTRIBUTE_NAME),
        category=members.text(table, "category", what=what),
        resolution=members.text(table, "resolution", what=what, max_length=64),
        required=members.boolean(table, "required", what=what),
        reason=_texts(table, "reason", what),
    )
    require_category(attribute.category, what=what)
    require_resolution(attribute.resolution, what=what)
    return attribute


def _texts(table: Mapping[str, Any], name: str, what: str) -> dict[str, str]:
    texts = members.mapping(table, name, what=what)
    exact(texts, f"{what}: {name}", set(LANGUAGES))
    return {language: members.text(texts, language, what=what, max_length=MAX_NOTICE) for language in LANGUAGES}
