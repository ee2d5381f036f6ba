"""The data holder's own declaration (WIRE C13): signed once, registered at every start.

ES256 signatures differ each time, so the signed text is kept: posting it again changes nothing at
the consent service. A changed content needs a higher version.
"""

import logging
from threading import Event

from sqlalchemy import Engine, insert, select

from consent.errors import LedgerConflict, LogError, MessageError, PeerUnavailable
from consent.holder.consent_service import ConsentService
from consent.holder.tables import own_declaration
from consent.procedure.declaration import DataDeclaration, sign_declaration
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.signer import Signer

_LOG = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""The services of a town start side by side; whoever comes first waits for the others."""


def signed_declaration(engine: Engine, declaration: DataDeclaration, signer: Signer) -> str:
    """The declaration as it was signed first. Raises LedgerConflict (``version``) where its content changed since."""
    named = (
        own_declaration.c.declaration_id == declaration.id,
        own_declaration.c.version == declaration.version,
    )
    with engine.begin() as connection:
        before = connection.execute(select(own_declaration.c.jws).where(*named)).scalar()
        if before is not None:
            parsed = jws.parse(before)
            if parsed.claims() != declaration.claims() or parsed.header["kid"] != signer.public_key.thumbprint:
                raise LedgerConflict("version")
            return str(before)
        compact = sign_declaration(declaration, signer)
        connection.execute(
            insert(own_declaration).values(declaration_id=declaration.id, version=declaration.version, jws=compact)
        )
        return compact


def register(consent: ConsentService, compact: str, stop: Event) -> bool:
    """Tries until the declaration is registered, refused, or ``stop`` is set; then reads what the service publishes."""
    while not stop.is_set():
        try:
            consent.declare(compact)
            consent.refresh()
        except LedgerConflict as fault:
            _LOG.warning("declaration: the consent service refuses it (%s)", fault.code)
            return False
        except (PeerUnavailable, IdentityError, MessageError, LogError):
            stop.wait(RETRY_SECONDS)
        else:
            return True
    return False
