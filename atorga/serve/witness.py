"""A witness of the log, as a process: an operator of its own, who holds its key and follows named logs.

[witness]
name = "witness.example"      # the name in its cosignatures
seed = "witness-seed"         # file: its Ed25519 seed, 64 hexadecimal digits
logs = ["log.example/log/2026+…"]   # verifier keys; a log's other periods are followed too
"""

from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from consent.errors import LogError
from consent.log import note
from consent.log.note import NoteKey
from consent.log.witness import Witness, any_of, log_and_its_periods
from consent.log.witness_app import witness_app
from identity.clock import Clock
from identity.errors import IdentityError
from identity.keys.ed25519 import Ed25519Signer
from identity.randomness import Random


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    head: ServiceHead
    name: str
    seed: Path
    logs: tuple[NoteKey, ...]

    @property
    def shown(self) -> str:
        """What ``--check`` tells besides: the key that logs and auditors name."""
        key = NoteKey(self.name, note.COSIGNATURE_V1, _signer(self).public)
        return f"its key: {key.format()}"


def settings(head: ServiceHead, root: Table) -> WitnessSettings:
    """Raises ConfigurationError."""
    table = root.table("witness")
    try:
        logs = tuple(NoteKey.parse(vkey) for vkey in table.texts("logs"))
    except LogError as fault:
        raise ConfigurationError(f"[witness] logs: {fault}") from None
    if not logs or any(key.key_type != note.ED25519 for key in logs):
        raise ConfigurationError("[witness] logs: verifier keys of logs (type 0x01) are expected, at least one")
    made = WitnessSettings(head, table.text("name"), table.path("seed"), logs)
    table.done()
    return made


def _signer(settings: WitnessSettings) -> Ed25519Signer:
    """Raises OSError, UnicodeDecodeError, IdentityError."""
    return Ed25519Signer.from_hex(settings.seed.read_text(encoding="ascii").strip())


def build(settings: WitnessSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """The application; it holds the witness's folder as long as the process lives. Raises ConfigurationError."""
    try:
        witness = Witness(
            settings.head.data,
            settings.name,
            _signer(settings),
            log_keys=any_of([log_and_its_periods(key) for key in settings.logs]),
            clock=clock,
        )
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (UnicodeDecodeError, IdentityError, LogError) as fault:
        raise ConfigurationError(f"[witness]: {fault}") from None
    return witness_app(witness)
