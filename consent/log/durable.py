"""Files that are either the old or the new content, and that survive a power cut once written."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from consent.errors import LogInUse


def replace(path: Path, content: bytes, *, sync_folder: bool = True) -> None:
    """Puts a durable file in place in one step: whoever reads sees the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with _closing(handle):
            _write(handle, content)
            os.fsync(handle)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if sync_folder:
        sync(path.parent)


def create(path: Path, content: bytes) -> None:
    """A durable file of a name that was never there before, and that nobody looks for until this returns.

    So it needs no other name first. Raises FileExistsError. After a power cut in the middle a part of it may be there.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with _closing(handle):
            _write(handle, content)
            # Size and content; when it was written may be lost. That spares the disk's journal a second entry.
            os.fdatasync(handle)
        sync(path.parent)
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise


def make_folders(folder: Path, changed: set[Path]) -> None:
    """Makes a folder and those above it; adds to ``changed`` the folders that must be synced for it."""
    if folder.is_dir():
        return
    make_folders(folder.parent, changed)
    with suppress(FileExistsError):
        os.mkdir(folder)
    changed.add(folder.parent)


def sync(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _closing(handle):
        os.fsync(handle)


def lock(path: Path, *, what: str) -> int:
    """An exclusive lock until the returned handle is closed. Raises LogInUse."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise LogInUse(f"another process {what}") from None
    return handle


def _write(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)
