"""Witnesses: every published checkpoint is offered to them, in the background.

A use never waits for a witness unless its purpose is sensitive: then its answer needs the quorum
(*cosigned*). Cosignatures are added to the checkpoint that is served and to its kept copy. A
witness that does not answer delays nobody; that it is missing can be seen on the checkpoint.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Condition, Thread

from consent.errors import LogError
from consent.log import note
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey, Signature
from consent.log.quorum import Quorum
from consent.log.witness_client import WitnessClient
from consent.service.sequencer import Sequencer
from identity.errors import TrustError
from identity.trust import spec as registry_spec
from identity.trust.registry import VerifiedRegistry

RETRY_SECONDS = 5.0
"""After a round in which a witness was missing, even if nothing new was logged."""

SILENT_SECONDS = 0.5
"""A witness that was missing is not asked for every batch of a busy log: each time costs what some ten uses do."""

_log = logging.getLogger("atorga.consent")


class Cosigning:
    """Runs in a thread of its own between ``start`` and ``stop``."""

    def __init__(
        self,
        sequencer: Sequencer,
        witnesses: Sequence[WitnessClient],
        quorum: Quorum | None,
        *,
        foreign: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """``foreign``: key names of witnesses of other legal bodies; None = whose they are is not asked."""
        self._sequencer = sequencer
        self._foreign = foreign
        self._witnesses = tuple(witnesses)
        self._quorum = quorum
        self._changed = Condition()
        self._cosigned_size = 0
        """The size of the newest checkpoint that met the quorum."""
        self._offered_size = -1
        self._complete = True
        self._silent: dict[WitnessClient, float] = {}
        """Who did not cosign lately, and until when it is not asked again."""
        self._skipped = False
        self._stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        if self._witnesses:
            self._thread = Thread(target=self._run, name="cosigning", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Call before the sequencer stops."""
        self._stopping = True
        self._sequencer.nudge()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=RETRY_SECONDS)

    def wait(self, index: int, *, seconds: float) -> str | None:
        """The proof of a leaf under a checkpoint with a quorum; None where it is not there in time."""
        if not self.is_witnessed():
            return None
        if self._sequencer.writes:
            with self._changed:
                self._changed.wait_for(lambda: self._cosigned_size > index or self._stopping, seconds)
                size = self._cosigned_size
        else:
            size = self._followed_size(index, seconds)
        return self._sequencer.writer.prove(index, size) if size > index else None

    def is_witnessed(self) -> bool:
        """Whether there is a quorum at all: one that a log's own witnesses can meet is none (DESIGN §8)."""
        if self._quorum is None:
            return False
        try:
            return self._foreign is None or self._quorum.needs_one_of(self._foreign())
        except TrustError as fault:
            _log.warning("log: who its witnesses are is not known (%s)", fault)
            return False

    def _followed_size(self, index: int, seconds: float) -> int:
        """Where another process asks the witnesses, it notes which checkpoint met the quorum; we look for ourselves."""
        log = self._sequencer.writer
        self._sequencer.wait_until(lambda: log.cosigned_size() > index or self._stopping, seconds=seconds)
        size = log.cosigned_size()
        if size <= index or self._quorum is None or not self._quorum.met(note.parse(log.checkpoint_of(size))):
            return 0
        return size

    def _run(self) -> None:
        with ThreadPoolExecutor(len(self._witnesses), thread_name_prefix="witness") as pool:
            while not self._stopping:
                newer = self._sequencer.wait_for_size(
                    self._offered_size,
                    seconds=SILENT_SECONDS if self._skipped else RETRY_SECONDS,
                    given_up=lambda: self._stopping,
                )
                if not self._sequencer.writes:
                    # Who writes asks; if that becomes this process, everything is offered anew.
                    self._offered_size = -1
                    self._sequencer.wait_until(lambda: self._sequencer.writes or self._stopping, seconds=RETRY_SECONDS)
                elif newer or not self._complete:
                    self._round(pool)

    def _round(self, pool: ThreadPoolExecutor) -> None:
        signed = self._sequencer.writer.signed_checkpoint
        size = Checkpoint.parse(note.parse(signed).text).size
        self._offered_size, self._complete, self._skipped = size, True, False
        if size == 0 or self._stopping:
            return
        now = time.monotonic()
        asked = [witness for witness in self._witnesses if now >= self._silent.get(witness, now)]
        found: list[Signature] = []
        for answered in as_completed([pool.submit(self._ask, witness, signed, size) for witness in asked]):
            signature = answered.result()
            if signature is not None:
                found.append(signature)
                self._keep(signed, size, found)
        self._skipped = len(asked) < len(self._witnesses)
        if len(found) < len(asked):
            self._sequencer.compare_again()
        if len(found) < len(self._witnesses):
            self._complete = False

    def _keep(self, signed: str, size: int, found: Sequence[Signature]) -> None:
        """Each as it comes: a quorum does not wait for the slowest."""
        try:
            self._sequencer.writer.add_cosignatures(size, found)
        except (OSError, LogError) as fault:
            _log.error("log: cosignatures could not be kept (%s)", type(fault).__name__)
            self._complete = False
            return
        if self._quorum is not None and self._quorum.met(note.parse(signed).with_signatures(found)):
            with self._changed:
                self._cosigned_size = max(self._cosigned_size, size)
                self._changed.notify_all()
            try:
                self._sequencer.writer.note_cosigned(self._cosigned_size)
            except OSError as fault:
                _log.error("log: who follows is not told of a quorum (%s)", type(fault).__name__)
        self._sequencer.published()

    def _ask(self, witness: WitnessClient, signed: str, size: int) -> Signature | None:
        try:
            signature = witness.cosign(signed, lambda old: self._sequencer.writer.prove_consistency(old, size))
        except (LogError, OSError) as fault:
            # NotCosigned, or a proof that our own files do not give.
            _log.warning("log: %s", fault)
            self._silent[witness] = time.monotonic() + SILENT_SECONDS
            return None
        self._silent.pop(witness, None)
        return signature


def foreign_witnesses(registry: VerifiedRegistry, party: str) -> frozenset[str]:
    """Key names of the listed witnesses whose legal body is another than that of ``party``. Raises TrustError."""
    own = {one.legal_entity for one in registry.parties if one.id == party}
    return frozenset(
        NoteKey.parse(one.log_vkey).name
        for one in registry.parties
        if registry_spec.WITNESS in one.roles and one.log_vkey is not None and one.legal_entity not in own
    )
