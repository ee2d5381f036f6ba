"""The addresses of accreditations (ADR 0009, D13); part of the table in ``routes``."""

from consent import spec
from consent.service.accrediting import Accrediting
from consent.service.address import NOBODY, PARTY, Address
from consent.service.callers import Callers
from consent.service.exchange import Exchange, Reply, json_reply


def accreditation_addresses(accrediting: Accrediting, callers: Callers) -> tuple[Address, ...]:
    def announce(asked: Exchange) -> Reply:
        caller = callers.party(asked.call)
        return json_reply(201, accrediting.announce(caller, asked.object("accreditation")))

    def accredited(asked: Exchange) -> Reply:
        return json_reply(200, accrediting.accredited(asked.query))

    return (
        Address(
            "POST", "/accreditations", PARTY, announce, "Show an accreditation, to be found by residents",
            takes=spec.MEDIA_JSON,
        ),
        Address("GET", "/accredited", NOBODY, accredited, "Who qualifies today for a grant to any accredited service"),
    )  # fmt: skip
