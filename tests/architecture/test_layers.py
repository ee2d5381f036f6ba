"""Imports point one way (docs/architecture.md): the order is data, and a planted violation is found."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Low to high: a room may import rooms of lower rank, and its own. Rooms of one rank do not know
# each other. The longest matching prefix counts.
RANKS: tuple[tuple[str, ...], ...] = (
    ("identity.errors", "identity.clock", "identity.randomness"),
    ("identity.fetch", "identity.codec"),
    ("identity.keys",),
    ("identity.envelope",),
    ("identity.formats.sd_jwt", "identity.did"),
    ("identity.trust",),
    ("identity.status",),
    ("identity.formats.sd_jwt_vc",),
    ("identity.formats.registry",),
    ("identity.card",),
    ("identity.openid4vci", "identity.openid4vp"),
    ("identity.issuer",),
    ("consent.errors", "consent.spec"),
    ("consent.log", "consent.signed_message"),
    ("consent.caller",),
    ("consent.procedure",),
    ("consent.grant",),
    ("consent.ledger",),
    ("consent.door",),
    ("consent.holder", "consent.service"),
    ("wallet_cli", "verifier"),
    ("atorga",),
    ("bench",),
)

# The log is to be read and trusted alone: it knows keys and encodings, and nothing of what it logs.
ONLY: dict[str, tuple[str, ...]] = {
    "consent.log": ("identity.keys", "identity.codec", "identity.errors", "identity.clock", "consent.errors"),
}

PACKAGES = ("identity", "consent", "wallet_cli", "verifier", "atorga")


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str


def room_of(module: str) -> tuple[int, str] | None:
    found = [(rank, room) for rank, rooms in enumerate(RANKS) for room in rooms if f"{module}.".startswith(f"{room}.")]
    return max(found, key=lambda item: len(item[1]), default=None)


def violation(edge: Import) -> str | None:
    importer, imported = room_of(edge.importer), room_of(edge.imported)
    if importer is None or imported is None:
        bare = edge.importer if importer is None else edge.imported
        return None if bare in (*PACKAGES, "identity.formats") else f"{bare} has no rank"
    if importer[1] != imported[1] and importer[0] <= imported[0]:
        return f"{edge.importer} imports {edge.imported}"
    for room, allowed in ONLY.items():
        if importer[1] == room and imported[1] != room and imported[1] not in allowed:
            return f"{edge.importer} imports {edge.imported}: {room} may import {', '.join(allowed)} only"
    return None


def imports_of(module: str, source: str, *, is_package: bool) -> Iterator[Import]:
    """Every import in the file, also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                anchor = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*anchor, *([base] if base else [])])
            # `from identity import keys` imports the room; `from identity.keys.jwk import X` the name.
            names = [f"{base}.{alias.name}" if base in ("identity", "consent", "identity.formats") else base
                     for alias in node.names]  # fmt: skip
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES:
                yield Import(module, name)


def all_imports() -> Iterator[Import]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            module = ".".join(parts[:-1] if is_package else parts)
            yield from imports_of(module, path.read_text(), is_package=is_package)


def test_imports_point_one_way() -> None:
    found = sorted({fault for edge in all_imports() if (fault := violation(edge))})
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("identity.keys.jwk", "from identity.envelope import jws"),
        ("identity.keys.jwk", "import identity.envelope.jws"),
        ("identity.codec.jcs", "from ..keys import signer"),
        ("identity.formats.sd_jwt.verify", "from identity.formats.sd_jwt_vc import verify"),
        ("identity.formats.sd_jwt.verify", "from identity.formats import sd_jwt_vc"),
        ("identity.trust.path", "def late():\n    from identity.status import checker"),
        ("identity.openid4vp.check", "from identity.openid4vci import offer"),
        ("identity.issuer.app", "from consent.grant import grant"),
        ("consent.log.tile", "from identity.envelope import jws"),
        ("consent.log.tile", "from consent.ledger import leaf"),
        ("consent.grant.use", "from consent.ledger.leaf import Leaf"),
        ("consent.holder.app", "from consent.service import app"),
        ("consent.service.app", "import wallet_cli.main"),
        ("wallet_cli.present", "from verifier.sessions import Session"),
        ("verifier.app", "from wallet_cli import main"),
        ("verifier.app", "from atorga.town import pki"),
        ("identity.unranked.thing", "from identity.keys import jwk"),
    ],
)
def test_planted_violation_is_found(module: str, source: str) -> None:
    assert any(violation(edge) for edge in imports_of(module, source, is_package=False))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("identity.envelope.jws", "from identity.keys.signer import Signer"),
        ("identity.issuer.app", "from identity.openid4vci import spec"),
        ("consent.holder.allow", "from consent.ledger.leaf import Leaf"),
        ("atorga.cli", "from wallet_cli import main"),
        ("consent.log.tile", "from consent.log import merkle"),
    ],
)
def test_allowed_imports_pass(module: str, source: str) -> None:
    assert not any(violation(edge) for edge in imports_of(module, source, is_package=False))
