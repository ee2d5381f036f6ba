"""Registering the data holder's own declaration at every start (WIRE C13)."""

import logging
from threading import Event

from consent.errors import LedgerConflict, LogError, MessageError, PeerUnavailable
from consent.procedure.published import Published
from identity.errors import IdentityError

_LOG = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""The services of a town start side by side; whoever comes first waits for the others."""


def register(published: Published, compact: str, stop: Event) -> bool:
    """Tries until the declaration is registered, refused, or ``stop`` is set; then reads what the service publishes."""
    while not stop.is_set():
        try:
            published.declare(compact)
            published.refresh()
        except LedgerConflict as fault:
            _LOG.warning("declaration: the consent service refuses it (%s)", fault.code)
            return False
        except (PeerUnavailable, IdentityError, MessageError, LogError):
            stop.wait(RETRY_SECONDS)
        else:
            return True
    return False
