"""The folder of sealed opening keys (WIRE C15): outside the database and its backups.

A file is named by the public half, which stands in the grant's cold row, and holds two lines: the
thumbprint of the view key of the resident's account, and the private half sealed to that key; where
there are officers, a third one with the private half sealed to their key. It is durable before the
grant is: a grant that exists can be read by its resident. Deleting a file makes events unreadable
for good.
"""

from pathlib import Path

from consent.grant.opening import seal_opening
from consent.log.durable import create, make_folders, sync
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.randomness import Random

_OWN_ONLY = 0o700


class OpeningFolder:
    def __init__(self, folder: Path, random: Random, officers: AgreementPublicKey | None = None) -> None:
        self._officers = officers
        self._folder = folder
        self._random = random
        folder.mkdir(mode=_OWN_ONLY, parents=True, exist_ok=True)

    def make(self, grant_id: str, view_key: AgreementPublicKey) -> AgreementPublicKey:
        """A fresh pair; its private half is kept sealed and forgotten here. Returns the public half."""
        pair = AgreementPrivateKey(self._random(32))
        sealed = seal_opening(view_key, grant_id=grant_id, private=pair)
        lines = [view_key.thumbprint, sealed]
        if self._officers is not None:
            lines.append(seal_opening(self._officers, grant_id=grant_id, private=pair))
        self._keep(self._path(pair.public.raw), "".join(f"{line}\n" for line in lines).encode("ascii"))
        return pair.public

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            create(path, content)
        except FileNotFoundError:
            # The first time, all at once: the folder above them is synced for all.
            made: set[Path] = set()
            for first in range(256):
                make_folders(self._folder / f"{first:02x}", made)
            for folder in made:
                sync(folder)
            create(path, content)

    def sealed(self, public: bytes) -> str | None:
        """The resident's copy; None where it was erased."""
        lines = self._lines(public)
        return lines[1] if lines else None

    def officers_copy(self, public: bytes) -> str | None:
        """None where it was erased, or made while there were no officers."""
        lines = self._lines(public)
        return lines[2] if len(lines) > 2 else None

    def is_for(self, view_key: AgreementPublicKey, public: bytes) -> bool:
        """Whether the copy is sealed to this view key."""
        lines = self._lines(public)
        return bool(lines) and lines[0] == view_key.thumbprint

    def _lines(self, public: bytes) -> list[str]:
        try:
            return self._path(public).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []

    def forget(self, public: bytes) -> None:
        """For a pair whose grant did not come about."""
        path = self._path(public)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync(path.parent)

    def _path(self, public: bytes) -> Path:
        name = public.hex()
        return self._folder / name[:2] / name
