"""Who takes part in a consent, and where: from the signed list and from nowhere else (WIRE C12).

An address in a link, a request or an answer is compared with the list, never followed by itself.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from identity.errors import TrustError
from identity.keys.public_key import PublicKey
from identity.trust.registry import Party, VerifiedRegistry
from wallet_cli.errors import ConsentRefused

CONSENT, HOLDER, SERVICE = "consent", "holder", "service"


@dataclass(frozen=True, slots=True)
class Parties:
    """One version of the list, at one instant."""

    registry: VerifiedRegistry
    now: int

    def named(self, party_id: str, role: str) -> Party:
        """Raises ConsentRefused unless the party is listed in this role today."""
        try:
            party = self.registry.party(party_id, now=self.now)
        except TrustError as fault:
            raise ConsentRefused("unknown_party", str(fault)) from None
        if role not in party.roles:
            raise ConsentRefused("unknown_party", f"registry: {party_id} is not listed as {role}")
        return party

    def key_of(self, party_id: str, role: str) -> PublicKey:
        return self.named(party_id, role).public_key

    def address_of_consent(self, party_id: str) -> str:
        """Raises ConsentRefused."""
        return endpoint(self.named(party_id, CONSENT), CONSENT)

    def consent_at(self, url: str) -> Party:
        """The listed consent service under whose address ``url`` lies. Raises ConsentRefused."""
        for party in self.registry.by_role(CONSENT, now=self.now):
            base = party.endpoints.get("consent")
            if base and lies_under(url, base):
                return party
        raise ConsentRefused("unknown_party", "link: its address belongs to no consent service of the list")


def lies_under(url: str, base: str) -> bool:
    """Same scheme, host and port, and a path below: no prefix of a longer host name passes."""
    asked, listed = urlsplit(url), urlsplit(base)
    same_place = (asked.scheme, asked.netloc.lower()) == (listed.scheme, listed.netloc.lower())
    below = asked.path.startswith(listed.path.rstrip("/") + "/")
    return same_place and below and ".." not in asked.path.split("/")


def endpoint(party: Party, name: str) -> str:
    """An address of the list. Raises ConsentRefused where the party has none of this name."""
    address = party.endpoints.get(name)
    if not address:
        raise ConsentRefused("unknown_party", f"registry: {party.id} has no address for {name}")
    return address.rstrip("/")


def beside(party: Party, name: str, sibling: str) -> str:
    """The address that differs from a listed one in its last part only. Raises ConsentRefused."""
    base, separator, last = endpoint(party, name).rpartition("/")
    if not separator or last != name:
        raise ConsentRefused("unknown_party", f"registry: {party.id} has no address for {sibling}")
    return f"{base}/{sibling}"
