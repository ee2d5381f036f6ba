"""The answer to two officers (ADR 0009, D11), opened with their common key: a case that anybody checks offline."""

from collections.abc import Mapping, Sequence
from typing import Any

from consent.errors import MessageError
from consent.grant.opening import open_event, open_opening
from consent.ledger.case import CaseEvent, UnverifiedCase, officers_case
from consent.log.proof import MAX_PROOF_BYTES
from consent.signed_message import exact, reading
from identity.codec import members
from identity.keys.agreement import AgreementPrivateKey

MAX_SEALED = 131_072
MAX_FORMER = 64
"""Recoveries of one account while a grant lived."""

_WHAT = "opening"


def open_answer(answer: Mapping[str, Any], key: AgreementPrivateKey) -> UnverifiedCase:
    """Raises MessageError where an event is sealed to none of the grant's keys.

    ``key`` is the officers'. A recovery gave the grant another opening pair: each event is opened
    with the one that was in force.
    """
    exact(
        answer,
        _WHAT,
        frozenset({"grant_id", "opening", "former_openings", "envelope", "events", "proof"}),
    )
    with reading(_WHAT):
        grant_id = members.identifier(answer, "grant_id", what=_WHAT)
        copies = [members.text(answer, "opening", what=_WHAT, max_length=MAX_SEALED)]
        copies += members.texts(
            answer, "former_openings", what=_WHAT, max_count=MAX_FORMER, max_length=MAX_SEALED, min_count=0
        )
        proof = members.text(answer, "proof", what=_WHAT, max_length=MAX_PROOF_BYTES)
        keys = [open_opening(key, copy, grant_id=grant_id) for copy in copies]
    rows = answer["events"]
    if not isinstance(rows, list):
        raise MessageError(f"{_WHAT}: events must be a list")
    return officers_case(grant_id, proof, [_event(row, grant_id, keys) for row in rows])


def _event(row: Any, grant_id: str, keys: Sequence[AgreementPrivateKey]) -> CaseEvent:
    if not isinstance(row, dict):
        raise MessageError(f"{_WHAT}: an event is an object")
    exact(row, _WHAT, frozenset({"counter", "leaf_index", "sealed", "proof"}))
    with reading(_WHAT):
        counter = members.integer(row, "counter", what=_WHAT)
        sealed = members.text(row, "sealed", what=_WHAT, max_length=MAX_SEALED)
        proof = members.text(row, "proof", what=_WHAT, max_length=MAX_PROOF_BYTES)
    for key in keys:
        try:
            found = open_event(key, sealed, leaf_id=grant_id, counter=counter)
        except MessageError:
            continue
        return CaseEvent(found.event, found.salt, proof)
    raise MessageError(f"{_WHAT}: event {counter} is sealed to none of the grant's keys")
