"""Writes the configuration files: the TOML that `tomllib` reads back (v1.0), for texts, numbers, lists and tables."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def format(values: Mapping[str, Any]) -> str:
    """Tables after plain keys, as TOML wants it; paths as texts; None is left out."""
    return "\n".join(_lines(values, ())) + "\n"


def _lines(values: Mapping[str, Any], name: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in values.items() if value is not None and not isinstance(value, Mapping)}
    lines = [f"[{'.'.join(map(_key, name))}]"] if name and (plain or not values) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    if lines:
        lines.append("")
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*name, key))
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """JSON's escapes are among TOML's; only DEL, which JSON leaves bare, is not allowed so."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path | str):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"TOML: {type(value).__name__} is not written here")
