"""Who counts as one address where requests are capped by it."""

from ipaddress import IPv6Address, IPv6Network, ip_address

SUBSCRIBER_BITS = 64
"""The smallest network that a subscriber of IPv6 gets: 2**64 addresses to choose from (RFC 6177)."""


def subscriber(address: str) -> str:
    """An IPv4 address; the /64 around an IPv6 address; any other text as it stands."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), SUBSCRIBER_BITS), strict=False))
