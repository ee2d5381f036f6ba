"""The whole check of a card login.

1. The token has its form, within its limits (``web_eid``).
2. Its certificate can be read to its end, its key is strong enough (``path.read_leaf``).
3. The certificate names an issuing authority that this installation pins; that chooses the profile.
4. Path to that authority, dates, key usage, policy (``path``).
5. The key signed *our* origin and *our* challenge (``web_eid.verify_signature``).
6. The subject can be read without doubt (``holder``).
7. The certificate is good now (``revocation``). It is the last step, so that only who has the card
   and its PIN makes us ask anybody.

Left to the caller: that the challenge was given out in this session and is used for the first time
(``challenge.spend``, before this), that its binding is the key which gets the credential, and that
the sender has that key.

The certificate is neither kept nor logged. Errors name no person.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from identity.card import web_eid
from identity.card.holder import read_holder
from identity.card.ocsp_client import OcspTransport
from identity.card.path import CardFamily, Leaf, read_leaf
from identity.card.profile import AssuranceLevel
from identity.card.revocation import require_good
from identity.clock import Clock
from identity.errors import CardError
from identity.randomness import Random


@dataclass(frozen=True, slots=True)
class VerifiedCard:
    """What ``CardVerifier.verify`` returns and nothing else makes. Its text form hides the person."""

    profile: str
    assurance_level: AssuranceLevel
    sandbox: bool
    id_number: str = field(repr=False)
    """NIF or NIE, without a prefix."""
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    birthdate: date | None = field(repr=False)
    """None where the card does not say it; no age follows from such a card."""


class CardVerifier:
    """Blocks while it asks a responder: call it from a thread."""

    def __init__(
        self,
        families: Sequence[CardFamily],
        *,
        transport: OcspTransport,
        clock: Clock,
        random: Random,
        sandbox: bool,
    ) -> None:
        """``sandbox``: this process was started by ``atorga town``. Raises CardError for families that must not be."""
        if not families:
            raise CardError("card verifier: no card family is configured")
        if not sandbox and any(family.profile.sandbox for family in families):
            raise CardError("card verifier: a sandbox card family outside the sandbox")
        self._families = tuple(families)
        self._transport = transport
        self._clock = clock
        self._random = random

    def verify(self, token: object, *, origin: str, nonce: str) -> VerifiedCard:
        """``token`` is the JSON object a strict reader has read. Raises CardError, CardStatusUnavailable.

        ``origin`` is this issuer's own, from its configuration; ``nonce`` that of a spent challenge.
        """
        # 1
        parsed = web_eid.parse_token(token)
        # 2
        leaf = read_leaf(parsed.unverified_certificate)
        # 3
        family = self._family(leaf)
        # 4
        path = family.verify_path(leaf, at=self._clock())
        # 5
        web_eid.verify_signature(parsed, leaf.key, origin=origin, nonce=nonce)
        # 6
        holder = read_holder(leaf.certificate, family.profile)
        # 7
        require_good(path, family.profile, transport=self._transport, clock=self._clock, random=self._random)
        return VerifiedCard(
            profile=family.profile.id,
            assurance_level=family.profile.assurance_level,
            sandbox=family.profile.sandbox,
            id_number=holder.id_number,
            given_name=holder.given_name,
            family_name=holder.family_name,
            birthdate=holder.birth_date,
        )

    def _family(self, leaf: Leaf) -> CardFamily:
        for family in self._families:
            if family.issued(leaf):
                return family
        raise CardError("card certificate: not issued by an authority that is configured here")
