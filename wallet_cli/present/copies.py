"""Which copy of a credential leaves the wallet.

Each copy is shown once. When two are left, new ones are fetched; if that fails, the credentials
without which nobody gets in anywhere show their least used copy again, and the screen says so:
whoever saw that copy before can now tell that it is the same person.
"""

from wallet_cli.errand import Errand
from wallet_cli.errors import RequestRefused
from wallet_cli.receive import refill
from wallet_cli.store import credentials
from wallet_cli.store.credentials import Copy, Credential
from wallet_cli.terminal import plain


def prepare(errand: Errand, credential: Credential) -> bool:
    """Before the screen shows anything: whether new copies had to be fetched and came.

    Then what they say may be newer than what was read. Raises RequestRefused where there is
    nothing to show.
    """
    if credentials.unused(errand.store, credential.id, now=errand.now):
        return False
    fault = refill.try_refill(errand.world, errand.network, errand.store, credential, errand.trust.issuer_key)
    if fault is None:
        return True
    if not _may_show_again(errand, credential):
        raise RequestRefused("no_fresh_copy", f"credential: no copy left to show, and no new one to be had ({fault})")
    errand.warn("present.copy_again", name=plain(errand.texts.pick(credential.names) or credential.type))
    return False


def take(errand: Errand, credential: Credential) -> Copy:
    """A copy that counts as shown from here on. Raises RequestRefused where there is none to show."""
    fresh = credentials.unused(errand.store, credential.id, now=errand.now)
    found = fresh or _may_show_again(errand, credential)
    if not found:
        raise RequestRefused("no_fresh_copy", "credential: no copy left to show")
    credentials.take(errand.store, found[0])
    return found[0]


def replenish(errand: Errand, credential: Credential) -> None:
    """After showing: new copies while there are still some left. A failure now is tried again next time."""
    if refill.due(errand.store, credential, now=errand.now):
        refill.try_refill(errand.world, errand.network, errand.store, credential, errand.trust.issuer_key)


def _may_show_again(errand: Errand, credential: Credential) -> list[Copy]:
    """The least used first."""
    if credential.type not in refill.LOGIN_TYPES:
        return []
    return [copy for copy in credentials.copies(errand.store, credential.id) if copy.valid_until > errand.now]
