"""The sandbox's OCSP responder as a process; a real card has its own, so only the sandbox starts it.

[ocsp]
issuing = "card/issuing.pem"        # whose cards it knows
signer = "card/responder.pem"       # its certificate, and
key = "card/responder.key.pem"      # its key
status = "card/status.json"         # which serials were issued, and which revoked
"""

from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from identity.clock import Clock
from identity.randomness import Random


@dataclass(frozen=True, slots=True)
class OcspSettings:
    head: ServiceHead
    issuing: Path
    signer: Path
    key: Path
    status: Path


def settings(head: ServiceHead, root: Table) -> OcspSettings:
    """Raises ConfigurationError."""
    table = root.table("ocsp")
    made = OcspSettings(head, table.path("issuing"), table.path("signer"), table.path("key"), table.path("status"))
    table.done()
    return made


def build(settings: OcspSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """Raises ConfigurationError."""
    if profile != "sandbox":
        raise ConfigurationError("[ocsp]: the sandbox's responder answers for no real card")
    # The town is never imported in profile production.
    from atorga.town.ocsp import Responder, ocsp_app

    try:
        responder = Responder.from_files(
            issuing=settings.issuing, signer=settings.signer, key=settings.key, status=settings.status, clock=clock
        )
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except ValueError as fault:
        raise ConfigurationError(f"[ocsp]: {fault}") from None
    return ocsp_app(responder)
