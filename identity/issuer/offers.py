"""Making offers: at a counter, after the clerk has seen who is there, or as an invitation to log in."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import CredentialError, EncodingError
from identity.issuer import sealing
from identity.issuer.person import Subject, format_subject
from identity.issuer.store.offers import NewCode, OfferStore
from identity.issuer.tenant import Tenant
from identity.openid4vci import offer
from identity.randomness import Random

OFFER_SECONDS = 600
"""WIRE section A. Long enough to unlock a telephone, short enough for a code that lies on a counter."""

TX_CODE_DIGITS = 6
TX_CODE_HINT = "The code on the paper you were given."


@dataclass(frozen=True, slots=True)
class MadeOffer:
    link: str = field(repr=False)
    tx_code: str | None = field(repr=False)
    """On paper, and nowhere else."""


class Offers:
    def __init__(self, tenant: Tenant, store: OfferStore, *, clock: Clock, random: Random) -> None:
        self._tenant = tenant
        self._store = store
        self._clock = clock
        self._random = random

    def pre_authorized(
        self, configurations: Sequence[str], subject: Subject, *, with_tx_code: bool, by_reference: bool
    ) -> MadeOffer:
        """For a subject that somebody has identified. Raises CredentialError."""
        known = self._known(configurations)
        code = sealing.fresh(self._random)
        tx_code = digits(self._random) if with_tx_code else None
        self._store.add_code(
            NewCode(
                code_hash=sealing.name(code),
                tx_code_hash=None if tx_code is None else tx_code_hash(code, tx_code),
                configurations=known,
                sealed=sealing.seal(code, format_subject(subject), self._random),
                expires=self._expires(),
            )
        )
        made = offer.pre_authorized(
            self._tenant.issuer,
            known,
            code=code,
            tx_code_length=None if tx_code is None else len(tx_code),
            tx_code_hint=TX_CODE_HINT,
        )
        return MadeOffer(self._link(made, by_reference), tx_code)

    def authorization_code(self, configurations: Sequence[str], *, by_reference: bool) -> MadeOffer:
        """For whoever logs in with a card. Raises CredentialError."""
        known = self._known(configurations)
        state = sealing.fresh(self._random)
        self._store.add_state(sealing.name(state), known, expires=self._expires())
        made = offer.authorization_code(self._tenant.issuer, known, issuer_state=state)
        return MadeOffer(self._link(made, by_reference), None)

    def document(self, reference: str) -> bytes | None:
        """An offer by reference, as JSON; None where there is none, or no longer."""
        sealed = self._store.document(sealing.name(reference), now=int(self._clock()))
        if sealed is None:
            return None
        try:
            return sealing.unseal(reference, sealed)
        except EncodingError:
            return None

    def offered(self, state: str) -> tuple[str, ...] | None:
        """What an ``issuer_state`` was given out for."""
        return self._store.state(sealing.name(state), now=int(self._clock()))

    def _link(self, made: dict[str, object], by_reference: bool) -> str:
        if not by_reference:
            return offer.by_value(made)
        reference = sealing.fresh(self._random)
        sealed = sealing.seal(reference, strict_json.compact(made), self._random)
        self._store.add_document(sealing.name(reference), sealed, expires=self._expires())
        return offer.by_reference(self._tenant.at.offer(reference))

    def _known(self, configurations: Sequence[str]) -> tuple[str, ...]:
        known = tuple(dict.fromkeys(configurations))
        if not known or len(known) != len(configurations):
            raise CredentialError("offer: one or more configurations, each once")
        if not all(name in self._tenant.types for name in known):
            raise CredentialError("offer: an unknown configuration")
        return known

    def _expires(self) -> int:
        return int(self._clock()) + OFFER_SECONDS


def digits(random: Random) -> str:
    """``TX_CODE_DIGITS`` digits, all equally likely."""
    limit = 10**TX_CODE_DIGITS
    while True:
        value = int.from_bytes(random(4), "big")
        if value < 2**32 - 2**32 % limit:
            return f"{value % limit:0{TX_CODE_DIGITS}d}"


def tx_code_hash(code: str, tx_code: str) -> bytes:
    """Keyed by the pre-authorized code, which is not in the database: there, six digits would be guessed at once."""
    return hmac.digest(code.encode("utf-8"), b"atorga/issuer/tx-code/v1" + tx_code.encode("utf-8"), sha256)
