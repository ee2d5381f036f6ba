"""When leaves of bulk acts get their places (DESIGN §8): after independent random delays.

Acts take effect at once; only their leaves wait. Else whoever reads the log would see which grants
are one resident's: a wallet that ends twelve of them within a second.
"""

from identity.randomness import Random

HOUR = 3_600_000
"""Milliseconds. A closing of an account within an hour of its last one is spread; every promise is due within it."""

SPREAD = 58 * 60_000
"""Milliseconds in which a waiting leaf is placed; the rest of the hour is for a service that had to be restarted."""


def below(limit: int, random: Random) -> int:
    """A number from 0 to ``limit`` - 1, each as likely: 64 bits more than are needed hide the remainder."""
    return int.from_bytes(random(16), "big") % limit


def due(now: int, random: Random) -> int:
    """When the leaf of a bulk act may get its place; both in milliseconds."""
    return now + 1 + below(SPREAD, random)
