"""The error tree of ``consent``.

    ConsentError
     ├── MessageError      a message of WIRE section C breaks its shape or a signature is not its sender's
     │    ├── CallerUnproven    a request does not prove who sends it
     │    ├── ProofNonceNeeded  a caller proof lacks a fresh nonce of this server
     │    ├── SenderUnproven    a message is not signed by whom it names
     │    └── StaleMessage      a message came outside its time
     ├── LogError          a note, checkpoint, tile or proof of the log is refused
     │    ├── LogInUse       another process writes it
     │    ├── StoreBehindLog the database has fewer entries than were signed: nothing is signed
     │    ├── SubmissionRefused   a witness does not cosign what a log submits
     │    │    ├── SubmissionMalformed  it is not of its form, or claims an old size beyond its own
     │    │    ├── UnknownLog           of a log this witness does not follow
     │    │    ├── NotSignedByLog       without that log's signature
     │    │    ├── OldSizeDiffers       the witness knows another size: ``size``
     │    │    └── NotConsistent        the tree does not continue the one the witness knows
     │    └── NotCosigned    a log got no valid cosignature from a witness
     ├── LedgerConflict    an act meets a row that forbids it: ``code`` says which rule
     ├── NotKnown          what is asked for is not here, or not the asker's: ``code`` says what
     ├── NotAllowed        the asker may not do this now: ``code`` says why
     ├── TooMany           somebody asks more often than it may
     ├── OutOfService      the store, the log or the signed list does not answer: nothing was decided
     ├── PeerUnavailable   another party did not answer, or not as it should
     ├── RegisterFault     a data holder's register does not answer, or holds what its configuration does not say
     └── NothingReleased   a data holder cannot release now: ``code`` says what is missing

A message names the thing, what was found and what was expected; never an attribute value.
"""


class ConsentError(Exception):
    """Root of everything this package raises on bad input."""


class MessageError(ConsentError):
    """A message of WIRE section C is refused."""


class CallerUnproven(MessageError):
    """A request does not prove who sends it (WIRE C1)."""


class ProofNonceNeeded(MessageError):
    """A caller proof is right but for its nonce: the caller asks again with the one it gets."""


class SenderUnproven(MessageError):
    """A message is not signed by the party it names, or that party is not listed."""


class StaleMessage(MessageError):
    """A message came before or after its time."""


class LogError(ConsentError):
    """A note, checkpoint, tile or proof of the log is refused."""


class LogInUse(LogError):
    """Another process holds the writer's lock."""


class StoreBehindLog(LogError):
    """The database does not hold what the newest checkpoint commits to: an old copy was restored."""


class SubmissionRefused(LogError):
    """A witness does not cosign a submitted checkpoint."""


class SubmissionMalformed(SubmissionRefused):
    """The submission is not of the form of tlog-witness."""


class UnknownLog(SubmissionRefused):
    """The origin is of no log that the witness follows."""


class NotSignedByLog(SubmissionRefused):
    """The checkpoint does not carry the signature of the log it names."""


class OldSizeDiffers(SubmissionRefused):
    """The submission starts from another size than ``size``, the newest the witness cosigned."""

    def __init__(self, size: int) -> None:
        super().__init__(f"witness: the newest cosigned checkpoint has {size} entries")
        self.size = size


class NotConsistent(SubmissionRefused):
    """The submitted tree does not continue the newest cosigned one: a fork, or a wrong proof."""


class NotCosigned(LogError):
    """A log asked a witness and got no valid cosignature."""


class LedgerConflict(ConsentError):
    """An act meets a row that forbids it.

    ``code`` is the word of the rule (``taken``, ``request_closed``, ``withdrawn``, ``replayed``,
    ``act_number`` …); ``act`` is the stored act number where that is the rule.
    """

    def __init__(self, code: str, *, act: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.act = act


class NotKnown(ConsentError):
    """What is asked for is not here, or is another's: the answer is the same for both.

    ``code`` goes on the wire: ``unknown_grant``, ``unknown_request`` …
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotAllowed(ConsentError):
    """The asker may not do this now, whatever it sends; ``code`` goes on the wire."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class TooMany(ConsentError):
    """An address asks more often than it may."""


class OutOfService(ConsentError):
    """The store, the log or the signed list does not answer. Asking again later may help."""


class PeerUnavailable(ConsentError):
    """Another party did not answer, or answered with what its part of the protocol does not have."""


class RegisterFault(ConsentError):
    """A register does not answer, or holds a value that its configuration does not describe."""


class NothingReleased(ConsentError):
    """A data holder cannot release or link now; asking again later may help.

    ``code`` goes on the wire: one of ``consent.holder.reply_codes``.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
