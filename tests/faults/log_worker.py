"""A process that commits events and waits for their proofs, as a worker of the consent service does.

    python -m tests.faults.log_worker DATABASE LOG-FOLDER ACKNOWLEDGED

Writes one line to ACKNOWLEDGED when it runs, and one for each event once it holds the proof:
``INDEX ID MILLISECONDS``. Ends at the end of its input, or never.
"""

import secrets
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import Engine

from consent.errors import OutOfService
from consent.ledger.events import EventStore
from consent.ledger.grant_row import Entry, add_event
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.log_turn import LogTurn
from consent.ledger.placing import Placing
from consent.ledger.schema import open_engine
from consent.log import proof
from consent.log.bells import Bells
from consent.log.writer import LogWriter
from consent.service.sequencer import Sequencer
from identity.keys.ed25519 import Ed25519Signer

ORIGIN = "log.example/log/2026"
SEED = bytes(range(32))
WAIT_SECONDS = 10.0


def leaf(grant_id: bytes) -> Leaf:
    return Leaf(Kind.GRANT, 0, grant_id, 1, 1, 1, 0, 1, 0, 0, secrets.token_bytes(32))


def open_sequencer(engine: Engine, folder: Path) -> Sequencer:
    return Sequencer(
        EventStore(engine),
        Placing(engine, secrets.token_bytes),
        LogWriter(folder, ORIGIN, Ed25519Signer(SEED), take=False),
        turn=LogTurn(engine),
        bells=Bells(folder.with_name("log-bells")),
        clock=time.time,
        compare=lambda _: None,
    )


def commit(engine: Engine, grant_id: bytes) -> None:
    with engine.begin() as connection:
        add_event(connection, Entry(Kind.GRANT, leaf(grant_id).to_bytes(), None), grant_id, 1)


def work(engine: Engine, sequencer: Sequencer, tell: threading.Lock, out: Path) -> None:
    with out.open("a", buffering=1) as acknowledged:
        while True:
            grant_id = secrets.token_bytes(16)
            try:
                sequencer.require_running()
            except OutOfService:
                time.sleep(0.01)
                continue
            commit(engine, grant_id)
            began = time.monotonic()
            logged = sequencer.wait(grant_id, 1, seconds=WAIT_SECONDS)
            if logged is None:
                raise SystemExit("an event was not logged in time")
            took = (time.monotonic() - began) * 1000
            verified = proof.verify(logged.proof, sequencer.writer.key)
            assert (verified.index, verified.entry[4:20]) == (logged.index, grant_id)
            with tell:
                acknowledged.write(f"{logged.index} {grant_id.hex()} {took:.3f}\n")


def main(url: str, folder: Path, out: Path) -> None:
    engine = open_engine(url)
    sequencer = open_sequencer(engine, folder)
    sequencer.start()
    out.write_text(f"{sequencer.state}\n")
    tell = threading.Lock()
    for _ in range(4):
        threading.Thread(target=work, args=(engine, sequencer, tell, out), daemon=True).start()
    sys.stdin.read()
    sequencer.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
