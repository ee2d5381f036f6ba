"""A declaration as it was signed first, in a file.

ES256 signatures differ each time; the same JWS again changes nothing at the consent service (WIRE
C13), another one under the same version is refused there. A changed content needs a higher version.
"""

from pathlib import Path

from consent.errors import LedgerConflict
from consent.log import durable
from consent.procedure.declaration import Declaration, PurposeDeclaration, sign_declaration
from consent.signed_message import reading
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.signer import Signer

PURPOSE, DATA = "purpose", "data"


def signed(folder: Path, declaration: Declaration, signer: Signer) -> str:
    """The declaration's JWS, made the first time. Raises LedgerConflict (``version``) where its content changed since,
    and MessageError where the file is damaged.
    """
    kind = PURPOSE if isinstance(declaration, PurposeDeclaration) else DATA
    path = folder / f"{_stem(kind, declaration.id)}{declaration.version}.jwt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.replace(path, sign_declaration(declaration, signer).encode("ascii"))
    with reading("kept declaration"):
        compact = path.read_bytes().decode("ascii", errors="replace")
        parsed = jws.parse(compact)
        if parsed.claims() != declaration.claims() or parsed.header.get("kid") != signer.public_key.thumbprint:
            raise LedgerConflict("version")
    return compact


def versions(folder: Path, kind: str, identifier: str) -> list[int]:
    """The versions that were signed here."""
    stem = _stem(kind, identifier)
    found = (path.name.removeprefix(stem).removesuffix(".jwt") for path in folder.glob(f"{stem}*.jwt"))
    return sorted(int(version) for version in found if version.isascii() and version.isdecimal())


def _stem(kind: str, identifier: str) -> str:
    """An id may hold any character; a file's name may not."""
    return f"{kind}-{base64url.encode(identifier.encode())}-"
