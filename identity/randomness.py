"""Randomness as an argument: whoever needs it is given a source."""

from collections.abc import Callable

Random = Callable[[int], bytes]
"""Returns so many unpredictable bytes, as ``secrets.token_bytes``."""
