"""Where a passphrase or a PIN comes from: a prompt, a file descriptor, a file. Never argv or the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from wallet_cli.errors import StoreError, UsageFault
from wallet_cli.terminal import Terminal

MAX_SECRET_BYTES = 1024
"""A passphrase is a sentence; more is somebody else's file."""

PASSPHRASE_FILE_VARIABLE = "WALLET_PASSPHRASE_FILE"  # noqa: S105  (its name, no passphrase)
MIN_CHARACTERS = 8
"""Outside the sandbox. Argon2id makes each guess dear; it cannot save six letters."""


def read(terminal: Terminal, environment: Mapping[str, str], *, descriptor: int | None, question: str) -> bytes:
    """The passphrase as UTF-8. Raises StoreError where none can be had."""
    if descriptor is not None:
        return from_descriptor(descriptor, what="--passphrase-fd")
    if path := environment.get(PASSPHRASE_FILE_VARIABLE):
        return from_file(Path(path), what=PASSPHRASE_FILE_VARIABLE)
    typed = terminal.ask_secret(question)
    if not typed:
        raise StoreError(
            "passphrase_missing",
            f"passphrase: none given; type it at a terminal, or use --passphrase-fd or {PASSPHRASE_FILE_VARIABLE}",
        )
    return typed.encode("utf-8")


def from_descriptor(descriptor: int, *, what: str) -> bytes:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            value = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as fault:
        raise UsageFault("secret_unreadable", f"{what}: descriptor {descriptor}: {fault.strerror}") from None
    return _checked(value, what)


def from_file(path: Path, *, what: str) -> bytes:
    try:
        with path.open("rb") as stream:
            value = stream.read(MAX_SECRET_BYTES + 1)
    except OSError as fault:
        raise UsageFault("secret_unreadable", f"{what}: {path}: {fault.strerror}") from None
    return _checked(value, what)


def _checked(value: bytes, what: str) -> bytes:
    """Without the line end that editors and ``echo`` add."""
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise UsageFault("secret_unreadable", f"{what}: is empty")
    if len(value) > MAX_SECRET_BYTES:
        raise UsageFault("secret_unreadable", f"{what}: more than {MAX_SECRET_BYTES} bytes")
    return value
