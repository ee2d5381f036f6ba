"""Configuration files (TOML), read strictly: an unknown key is a typing error, and typing errors are refused.

Every service's file has the tables ``[service]`` and, where it reads the signed list, ``[registry]``;
the rest belongs to the service. Private keys are never in a configuration: it names their files.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from identity.errors import IdentityError
from identity.fetch import require_permitted

Profile = Literal["production", "sandbox"]
PROFILES: tuple[Profile, ...] = ("production", "sandbox")

MAX_CONFIGURATION_BYTES = 1_048_576
"""A register's queries and a city's procedures stay far below."""


MAX_WORKERS = 64
"""Each has connections to the database; its server has a hundred."""


class ConfigurationError(Exception):
    """A configuration cannot be used; the message says which key, what it is and what was expected."""


class Table:
    """One table of the file. What is read is crossed off; ``done`` refuses what is left."""

    def __init__(self, name: str, values: Mapping[str, Any], *, folder: Path) -> None:
        self.name = name
        self._values = dict(values)
        self._folder = folder

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def is_list(self, key: str) -> bool:
        return isinstance(self._values.get(key), list)

    def is_integer(self, key: str) -> bool:
        value = self._values.get(key)
        return isinstance(value, int) and not isinstance(value, bool)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"[{self.name}] {key}: a text is expected")
        return value

    def optional_text(self, key: str) -> str | None:
        return self.text(key) if key in self else None

    def integer(self, key: str, default: int | None = None, *, minimum: int = 0, maximum: int = 2**53) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise ConfigurationError(f"[{self.name}] {key}: an integer from {minimum} to {maximum} is expected")
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise ConfigurationError(f"[{self.name}] {key}: true or false is expected")
        return value

    def path(self, key: str) -> Path:
        """A path; a relative one counts from the configuration's folder."""
        return self._folder / self.text(key)

    def optional_path(self, key: str) -> Path | None:
        return self.path(key) if key in self else None

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._take(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise ConfigurationError(f"[{self.name}] {key}: a list of texts is expected")
        return tuple(value)

    def values(self, key: str, default: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """A list whose members the service judges itself."""
        value = self._take(key, default)
        if not isinstance(value, list | tuple):
            raise ConfigurationError(f"[{self.name}] {key}: a list is expected")
        return tuple(value)

    def table(self, key: str) -> "Table":
        value = self._take(key, None)
        if not isinstance(value, Mapping):
            raise ConfigurationError(f"[{self.name}.{key}]: a table is expected")
        return Table(f"{self.name}.{key}" if self.name else key, value, folder=self._folder)

    def optional_table(self, key: str) -> "Table | None":
        return self.table(key) if key in self else None

    def tables(self, key: str) -> dict[str, "Table"]:
        """Named tables below ``key``; none where the key is absent."""
        if key not in self:
            return {}
        parent = self.table(key)
        return {name: parent.table(name) for name in tuple(parent._values)}

    def keys(self) -> tuple[str, ...]:
        """What has not been read yet."""
        return tuple(self._values)

    def done(self) -> None:
        """Refuses keys that nobody has read."""
        if self._values:
            raise ConfigurationError(f"[{self.name}] {', '.join(sorted(self._values))}: not known here")

    def _take(self, key: str, default: Any) -> Any:
        if key in self._values:
            return self._values.pop(key)
        if default is None:
            raise ConfigurationError(f"[{self.name}] {key}: is missing")
        return default


@dataclass(frozen=True, slots=True)
class ServiceHead:
    """What every service's file says."""

    url: str
    """The service's public address, without a slash at its end."""
    host: str
    port: int
    data: Path
    """The folder of this service's own state."""
    registry_url: str | None
    registry_anchors: Path | None
    town_token_sha256: str | None
    """Sandbox only: SHA-256 (hex) of the token of the admin helpers; None = they are not mounted."""
    workers: int = 1
    """Processes that serve the port together; more than one only where a service can be several."""


def load(path: Path, *, profile: Profile) -> tuple[ServiceHead, Table]:
    """The head, and what is left for the service itself. Raises ConfigurationError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_CONFIGURATION_BYTES + 1)
        if len(content) > MAX_CONFIGURATION_BYTES:
            raise ConfigurationError(f"{path}: more than {MAX_CONFIGURATION_BYTES} bytes")
        root = Table("", tomllib.loads(content.decode("utf-8")), folder=path.resolve().parent)
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{path}: not TOML ({fault})") from None
    return _head(root, profile), root


def _head(root: Table, profile: Profile) -> ServiceHead:
    service = root.table("service")
    url = service.text("url").rstrip("/")
    try:
        # Plain http is for loopback in the sandbox only (WIRE section A).
        require_permitted(url, allow_loopback_http=profile == "sandbox")
    except IdentityError as fault:
        raise ConfigurationError(f"[service] url: {fault}") from None
    registry = root.optional_table("registry")
    town = root.optional_table("town")
    if town is not None and profile != "sandbox":
        raise ConfigurationError("[town]: the sandbox's helpers have no place in profile production")
    head = ServiceHead(
        url=url,
        host=service.text("host", "127.0.0.1"),
        port=service.integer("port", minimum=1, maximum=65_535),
        data=service.path("data"),
        workers=service.integer("workers", 1, minimum=1, maximum=MAX_WORKERS),
        registry_url=None if registry is None else registry.text("url"),
        registry_anchors=None if registry is None else registry.path("anchors"),
        town_token_sha256=None if town is None else town.text("token_sha256"),
    )
    for table in (service, registry, town):
        if table is not None:
            table.done()
    return head
