"""The addresses of mandates, and the residents' addresses as whoever holds a mandate sees them (ADR 0009, D14).

A mandate's key proves calls like an account's. It opens the addresses named here and no other:
everywhere else it is a key that nobody knows.
"""

from collections.abc import Callable
from dataclasses import replace

from consent import spec
from consent.errors import CallerUnproven
from consent.ledger.mandates import StoredMandate
from consent.service.address import KEY, NEWCOMER, Address, Handle
from consent.service.callers import Callers
from consent.service.delegated import Delegated
from consent.service.exchange import Exchange, Reply, json_reply
from consent.service.representing import Representing

DelegatedHandle = Callable[[StoredMandate, Exchange], Reply]


def mandate_addresses(representing: Representing, callers: Callers) -> tuple[Address, ...]:
    def register(asked: Exchange) -> Reply:
        key = callers.newcomer(asked.call)
        return json_reply(201, representing.register(key, asked.object("mandate")))

    def mandates(asked: Exchange) -> Reply:
        return json_reply(200, representing.of_account(callers.resident(asked.call)))

    def end(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        return json_reply(200, representing.end(account.number, asked.path["mandate_id"]))

    return (
        Address(
            "POST", "/me/mandates", NEWCOMER, register, "Register a key that acts by a mandate", takes=spec.MEDIA_JSON
        ),
        Address("GET", "/me/mandates", KEY, mandates, "Who may act for the resident"),
        Address("DELETE", "/me/mandates/{mandate_id}", KEY, end, "End a mandate"),
    )


def with_mandates(
    addresses: tuple[Address, ...], callers: Callers, representing: Representing, delegated: Delegated, *, url: str
) -> tuple[Address, ...]:
    """The same addresses; those that a mandate opens also answer its key. ``url`` is the service's own."""
    opened = _opened(representing, delegated, url)

    def wrapped(address: Address) -> Address:
        handle = opened.get((address.method, address.path))
        if handle is None:
            return address
        return replace(address, handle=_either(address, handle, callers, representing))

    return tuple(map(wrapped, addresses))


def _either(address: Address, handle: DelegatedHandle, callers: Callers, representing: Representing) -> Handle:
    residents: Handle = address.handle  # type: ignore[assignment]

    def answer(asked: Exchange) -> Reply:
        try:
            return residents(asked)
        except CallerUnproven:
            # Not an account's key. A proof is spent only where its key is known, so it is still good.
            mandate = callers.delegate(asked.call, representing.by_key)
            if mandate is None:
                raise
        return handle(mandate, asked)

    return answer


def _opened(representing: Representing, delegated: Delegated, url: str) -> dict[tuple[str, str], DelegatedHandle]:
    def decide(by: StoredMandate, asked: Exchange) -> Reply:
        given = delegated.decide(by, asked.object("grant"))
        if given is None:
            return json_reply(201, {"state": "refused"})
        receipt = f"{url}/me/receipts/{given.receipt_id}"
        return json_reply(201, {"grant_id": given.grant_id, "state": "given", "counter": 1, "receipt": receipt})

    def receipt(by: StoredMandate, asked: Exchange) -> Reply:
        found = delegated.receipt(by, asked.path["receipt_id"], asked.languages)
        return json_reply(200, found.to_json(), spec.MEDIA_RECEIPT)

    def withdraw(by: StoredMandate, asked: Exchange) -> Reply:
        body = asked.object_or_nothing("withdrawal")
        return json_reply(200, delegated.withdraw(by, asked.path["grant_id"], body).to_json())

    return {
        ("GET", "/me/grants"): lambda by, asked: json_reply(200, delegated.grants(by)),
        ("GET", "/me/grants/{grant_id}"): lambda by, asked: json_reply(
            200, delegated.grant(by, asked.path["grant_id"])
        ),
        ("GET", "/me/timeline"): lambda by, asked: json_reply(200, delegated.timeline(by, after=asked.after())),
        ("GET", "/me/receipts/{receipt_id}"): receipt,
        ("GET", "/me/requests"): lambda by, asked: json_reply(200, delegated.requests(by)),
        ("POST", "/me/grants"): decide,
        ("POST", "/me/grants/{grant_id}/withdrawal"): withdraw,
        ("POST", "/me/freeze"): lambda by, asked: json_reply(200, delegated.freeze(by, asked.object("freeze"))),
        ("POST", "/me/oppositions"): lambda by, asked: json_reply(
            201, {"opposition_id": delegated.oppose(by, asked.object("opposition"))}
        ),
        ("GET", "/me/mandates"): lambda by, asked: json_reply(200, representing.own(by)),
        ("DELETE", "/me/mandates/{mandate_id}"): lambda by, asked: json_reply(
            200, representing.end_own(by, asked.path["mandate_id"])
        ),
    }
