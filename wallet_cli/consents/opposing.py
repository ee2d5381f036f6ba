"""Oppositions (ADR 0009, D4): the resident objects to accesses that rest on law, where the law lets them.

What the consent service lists is compared with what this wallet made: one that is missing there is
said loudly, since accesses may go on that the resident believes to be stopped.
"""

from typing import Any

from consent.procedure.vocabulary import purposes
from identity.codec.members import identifier, integer, text
from identity.errors import EncodingError
from wallet_cli.consents.account import OpenAccount
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, UsageFault
from wallet_cli.store import history, oppositions
from wallet_cli.store.oppositions import Opposition

MAX_LISTED = 1_000
"""Of one resident; a longer answer is not read to its end."""

_WHAT = "opposition"


def party_of(errand: Errand, wanted: str, role: str) -> str:
    """The listed party with this id, or this name in any language. Raises UsageFault."""
    parties = errand.trust.parties()
    for party in parties.registry.by_role(role, now=parties.now):
        if party.id == wanted or wanted.casefold() in (name.casefold() for name in party.name.values()):
            return party.id
    raise UsageFault("usage", f"{wanted[:64]!r} is not on the list as {role}")


def purpose_of(errand: Errand, wanted: str) -> str:
    """A term of the vocabulary: by its address, or by its label in the reader's language. Raises UsageFault."""
    found = [
        iri
        for iri, term in purposes().items()
        if wanted == iri
        or wanted.casefold() in (term.label_in(errand.texts.language).text.casefold(), term.label.casefold())
    ]
    if len(found) != 1:
        raise UsageFault("usage", f"--purpose: {len(found)} purposes are called {wanted[:64]!r}, expected one")
    return found[0]


def oppose(errand: Errand, at: OpenAccount, service: str, purpose: str | None, holder: str | None) -> Opposition:
    """Raises NetworkError, ConsentRefused."""
    body = {"service": service, "purpose": purpose, "holder": holder}
    answer = at.caller.post(f"{at.base}/me/oppositions", body).expect(201, what=_WHAT).object(what=_WHAT)
    try:
        opposition_id = identifier(answer, "opposition_id", what=_WHAT)
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    made = Opposition(opposition_id, at.account.consent, service, purpose, holder, errand.now)
    with errand.store.transaction():
        oppositions.save(errand.store, made)
        history.record(errand.store, "opposed", service, now=errand.now)
    return made


def listed(errand: Errand, at: OpenAccount) -> list[Opposition]:
    """As the consent service has them. Raises NetworkError, ConsentRefused."""
    body = at.caller.get(f"{at.base}/me/oppositions").expect(200, what=_WHAT).object(what=_WHAT)
    found = body.get("oppositions")
    if not isinstance(found, list) or len(found) > MAX_LISTED:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {MAX_LISTED} is expected")
    try:
        return [_read(one, at.account.consent) for one in found]
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None


def end(errand: Errand, at: OpenAccount, one: Opposition) -> None:
    """One that the consent service does not know any more has ended as well. Raises NetworkError."""
    at.caller.delete(f"{at.base}/me/oppositions/{one.id}").expect(200, 404, what=_WHAT)
    with errand.store.transaction():
        oppositions.save(errand.store, one)
        oppositions.end(errand.store, one.id, now=errand.now)
        history.record(errand.store, "opposition_ended", one.service, now=errand.now)


def missing(errand: Errand, at: OpenAccount, there: list[Opposition]) -> list[Opposition]:
    """Made by this wallet, not ended by it, and not on the consent service's list."""
    known = {one.id: one.body() for one in there}
    mine = oppositions.all_of(errand.store, at.account.consent)
    return [one for one in mine if one.ended is None and known.get(one.id) != one.body()]


def _read(value: Any, consent: str) -> Opposition:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an entry is an object")
    return Opposition(
        identifier(value, "opposition_id", what=_WHAT),
        consent,
        text(value, "service", what=_WHAT, max_length=128),
        None if value.get("purpose") is None else text(value, "purpose", what=_WHAT),
        None if value.get("holder") is None else text(value, "holder", what=_WHAT, max_length=128),
        integer(value, "since", what=_WHAT),
    )
