"""Time as an argument: whoever needs it is given a clock."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970 (UTC), as ``time.time``."""
