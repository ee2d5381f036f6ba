"""What a service gets at ``POST /data``: a released answer, or a refusal with reasons (WIRE C4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import NothingReleased
from consent.grant.use import DataAnswer, Reason, seal_data_answer
from consent.holder import journal
from consent.holder.journal import Recorded
from consent.holder.reply_codes import KEYED_HASH_UNAVAILABLE, REGISTER_UNAVAILABLE
from identity.codec import strict_json
from identity.keys.agreement import AgreementPublicKey
from identity.keys.signer import Signer


@dataclass(frozen=True, slots=True)
class Released:
    """The body of the answer: JSON, what is in it sealed to the service."""

    body: str


@dataclass(frozen=True, slots=True)
class Refused:
    grant_id: str
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": "deny",
            "grant_id": self.grant_id,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


def sealed_body(
    answer: DataAnswer, signer: Signer, reply_key: AgreementPublicKey, *, counter: int, rests_on: Mapping[str, str]
) -> str:
    """``rests_on``: the member that shows what the release rests on, as a rule ``proof``."""
    body = {
        "use_id": answer.use_id,
        "grant_id": answer.grant_id,
        "counter": counter,
        "sealed": seal_data_answer(answer, signer, reply_key),
        **rests_on,
    }
    return strict_json.compact(body).decode()


def reply_to(recorded: Recorded) -> Released | Refused:
    """What the journal's word about a request means to its service. Raises NothingReleased."""
    if recorded.reasons:
        return Refused(recorded.grant_id, recorded.reasons)
    if recorded.outcome == journal.REGISTER_FAULT:
        raise NothingReleased(REGISTER_UNAVAILABLE, "register: it did not answer this use, which counts all the same")
    if recorded.outcome == journal.KEYED_HASH_FAULT:
        raise NothingReleased(KEYED_HASH_UNAVAILABLE, "keyed hash: it cannot be said whether a value has changed")
    if recorded.outcome != journal.RELEASED:
        return Refused(recorded.grant_id, (Reason(recorded.outcome),))
    if recorded.answer is None:
        return Refused(recorded.grant_id, (Reason("replayed"),))
    return Released(recorded.answer)
