"""The grants of this wallet: which one is meant, what it gives, and what became of it."""

from typing import Any

from consent.grant.withdrawal import verify_withdrawal
from wallet_cli.consents import account, give, mailboxes, receipts
from wallet_cli.consents.explain import summary
from wallet_cli.consents.fitting import detail_of
from wallet_cli.consents.give import SENDING, UNTAKEN
from wallet_cli.errand import Errand
from wallet_cli.errors import NetworkError, WalletError
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant
from wallet_cli.store.database import Store
from wallet_cli.terminal import plain

LIVE = ("given", "paused", SENDING)
UNKNOWN = (SENDING, UNTAKEN)
"""The consent service has not said that it has them."""


def find(store: Store, prefix: str) -> HeldGrant:
    """Raises WalletError unless one grant begins so."""
    found = consents.find_grants(store, prefix)
    if len(found) != 1:
        code = "unknown_id" if not found else "ambiguous_id"
        raise WalletError(code, f"consent: {len(found)} begin with {prefix[:32]!r}, expected one")
    return found[0]


def is_called(errand: Errand, party: str, wanted: str) -> bool:
    """Whether a person who writes ``wanted`` means this party: by its id, or by its name in any language."""
    names = (name.casefold() for name in errand.trust.name_of(party).values())
    return party == wanted or wanted.casefold() in names


def live(store: Store) -> list[HeldGrant]:
    return [grant for grant in consents.grants(store) if grant.state in LIVE]


def paused(store: Store) -> list[HeldGrant]:
    return [grant for grant in consents.grants(store) if grant.state == "paused"]


def service_name(errand: Errand, grant: HeldGrant) -> str:
    return plain(errand.texts.pick(errand.trust.name_of(grant.service)) or grant.service)


def shown(store: Store) -> list[HeldGrant]:
    """All but those that nobody took: they are no permissions, and are kept in case somebody did."""
    return [grant for grant in consents.grants(store) if grant.state != UNTAKEN]


def not_taken_back(store: Store, *, now: int) -> list[HeldGrant]:
    """By what this wallet knows itself: a consent service that calls one ended may still let it be used."""
    return [
        grant
        for grant in consents.grants(store)
        if now < detail_of(grant).not_after
        and not any(
            verify_withdrawal(compact).attributes is None
            for _, compact, _ in consents.withdrawals(store, grant.grant_id)
        )
    ]


def refresh(errand: Errand) -> bool:
    """Asks what became of them, and fetches receipts that are not here yet; False where nobody answered.

    Raises ConsentRefused where what comes back proves a lie.
    """
    try:
        for at in account.all_held(errand):
            give.resolve(errand, at)
            mailboxes.register_links(errand, at)
            for grant in consents.grants(errand.store):
                if grant.consent == at.account.consent and grant.receipt is None and grant.state not in UNKNOWN:
                    receipts.keep(errand, at, grant)
    except NetworkError:
        return False
    return True


def to_json(grant: HeldGrant) -> dict[str, Any]:
    return {
        "grant_id": grant.grant_id,
        "service": grant.service,
        "state": grant.state,
        **summary(detail_of(grant)),
    }
