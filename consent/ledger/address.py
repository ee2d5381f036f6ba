"""Addresses of databases, and what each driver wants to hear of them.

``sqlite:///PATH``; ``postgresql://USER[:PASSWORD]@HOST[:PORT]/NAME``, or, as libpq has it, with
``?host=FOLDER`` for the socket in a folder. ``?sslmode=verify-full`` asks for TLS and checks the
server's certificate; the modes that do not check it are not offered.
"""

import getpass
import ssl
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE, POSTGRESQL = "sqlite", "postgresql"
PORT = 5432


def parse_address(url: str) -> URL:
    """Raises ArgumentError, which never quotes a password."""
    made = make_url(url)
    if made.get_backend_name() not in (SQLITE, POSTGRESQL):
        raise ArgumentError("database: sqlite:///… or postgresql://… is expected")
    if made.get_backend_name() == POSTGRESQL:
        if not made.database:
            raise ArgumentError("database: postgresql://… names no database")
        if unknown := set(made.query) - {"host", "sslmode"}:
            raise ArgumentError(f"database: {', '.join(sorted(unknown))} is no part of an address here")
        if made.query.get("sslmode", "verify-full") != "verify-full":
            raise ArgumentError("database: sslmode can only be verify-full")
    return made


def sqlite_path(url: URL) -> Path:
    return Path(url.database or ":memory:")


def pg8000_arguments(url: URL) -> dict[str, Any]:
    made = _identity(url)
    folder = socket_folder(url)
    if folder is not None:
        made["unix_sock"] = f"{folder}/.s.PGSQL.{url.port or PORT}"
    else:
        made |= {"host": url.host or "localhost", "port": url.port or PORT}
    return made | ({"ssl_context": ssl.create_default_context()} if "sslmode" in url.query else {})


def asyncpg_arguments(url: URL) -> dict[str, Any]:
    made = _identity(url)
    made |= {"host": socket_folder(url) or url.host or "localhost", "port": url.port or PORT}
    return made | ({"ssl": ssl.create_default_context()} if "sslmode" in url.query else {})


def socket_folder(url: URL) -> str | None:
    folder = url.query.get("host")
    return folder if isinstance(folder, str) else None


def _identity(url: URL) -> dict[str, Any]:
    password = {} if url.password is None else {"password": str(url.password)}
    return {"user": url.username or getpass.getuser(), "database": url.database} | password
