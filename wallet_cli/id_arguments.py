"""Ids on a command line: one in 64 begins with a hyphen, and argparse would take it for an option."""

from argparse import Namespace
from collections.abc import Sequence

from identity.codec import base64url
from identity.errors import EncodingError

ID_BYTES, ID_LENGTH = 16, 22

SHIELD = "\x1f"
"""A character that no option and no value of ours begins with."""


def shield(arguments: Sequence[str]) -> list[str]:
    """The same, with ids that begin with a hyphen hidden from argparse."""
    return [SHIELD + argument if _is_id(argument) else argument for argument in arguments]


def unshield(parsed: Namespace) -> Namespace:
    """What argparse made of them, as they were typed."""
    for name, value in vars(parsed).items():
        if isinstance(value, str):
            setattr(parsed, name, value.removeprefix(SHIELD))
        elif isinstance(value, list):
            setattr(parsed, name, [one.removeprefix(SHIELD) if isinstance(one, str) else one for one in value])
    return parsed


def _is_id(argument: str) -> bool:
    if len(argument) != ID_LENGTH or not argument.startswith("-"):
        return False
    try:
        return len(base64url.decode(argument)) == ID_BYTES
    except EncodingError:
        return False
