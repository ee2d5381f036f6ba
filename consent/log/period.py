"""Origins ``PREFIX/PERIOD``: a log per period, all signed by one key under their own names (WIRE C6)."""

import re

_PERIOD = re.compile(r"[0-9A-Za-z-]{1,16}", re.ASCII)


def is_period(text: str) -> bool:
    return _PERIOD.fullmatch(text) is not None


def same_log(origin: str, other: str) -> bool:
    """Whether both are periods of one log, or one and the same origin."""
    if origin == other:
        return True
    (prefix, _, period), (other_prefix, _, other_period) = origin.rpartition("/"), other.rpartition("/")
    return bool(prefix) and prefix == other_prefix and is_period(period) and is_period(other_period)
