"""One wallet process at a time: two that pick the same unused copy would make it linkable."""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wallet_cli.errors import StoreError

WAIT_SECONDS = 10.0
"""Longer than any command that asks nobody anything; a person who thinks may hold it longer."""

_POLL_SECONDS = 0.05


@contextmanager
def exclusive(
    path: Path, *, wait_seconds: float = WAIT_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Holds the lock file. The kernel lets go when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        waited = 0.0
        while not _taken(descriptor):
            if waited >= wait_seconds:
                raise StoreError("store_busy", f"store: another wallet command has held it for {wait_seconds:.0f} s")
            sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True
