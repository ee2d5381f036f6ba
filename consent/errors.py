"""The error tree of ``consent``.

    ConsentError
     ├── MessageError      a message of WIRE section C breaks its shape or a signature is not its sender's
     │    ├── ProofNonceNeeded  a caller proof lacks a fresh nonce of this server
     │    └── StaleMessage      a message came outside its time
     ├── LogError          a note, checkpoint, tile or proof of the log is refused
     │    ├── LogInUse       another process writes it
     │    └── StoreBehindLog the database has fewer entries than were signed: nothing is signed
     ├── LedgerConflict    an act meets a row that forbids it: ``code`` says which rule
     └── ReleaseRefused    a data holder releases nothing: ``reasons`` say why

A message names the thing, what was found and what was expected; never an attribute value.
"""


class ConsentError(Exception):
    """Root of everything this package raises on bad input."""


class MessageError(ConsentError):
    """A message of WIRE section C is refused."""


class ProofNonceNeeded(MessageError):
    """A caller proof is right but for its nonce: the caller asks again with the one it gets."""


class StaleMessage(MessageError):
    """A message came before or after its time."""


class LogError(ConsentError):
    """A note, checkpoint, tile or proof of the log is refused."""


class LogInUse(LogError):
    """Another process holds the writer's lock."""


class StoreBehindLog(LogError):
    """The database does not hold what the newest checkpoint commits to: an old copy was restored."""


class LedgerConflict(ConsentError):
    """An act meets a row that forbids it.

    ``code`` is the word of the rule (``taken``, ``request_closed``, ``withdrawn``, ``replayed``,
    ``act_number`` …); ``act`` is the stored act number where that is the rule.
    """

    def __init__(self, code: str, *, act: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.act = act
