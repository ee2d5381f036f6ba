"""The addresses of what is owed beside grants and uses (ADR 0009); part of the table in ``routes``."""

from typing import Any

from consent import spec
from consent.errors import SenderUnproven, StaleMessage
from consent.service.address import KEY, NOBODY, PARTY, SIGNED, Address
from consent.service.callers import Callers
from consent.service.duties import Duties
from consent.service.exchange import Exchange, Reply, fault_reply, json_reply, jws_reply
from identity.status.spec import MEDIA_TYPE as MEDIA_STATUS


def duty_addresses(duties: Duties, callers: Callers) -> tuple[Address, ...]:
    return (*_of_residents(duties, callers), *_of_parties(duties, callers), *_of_anyone(duties))


def _of_residents(duties: Duties, callers: Callers) -> tuple[Address, ...]:
    def oppose(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        return json_reply(201, {"opposition_id": duties.opposing.oppose(account, asked.object("opposition"))})

    def oppositions(asked: Exchange) -> Reply:
        return json_reply(200, duties.opposing.of(callers.resident(asked.call)))

    def end_opposition(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        return json_reply(200, duties.opposing.end(account, asked.path["opposition_id"]))

    def freeze(asked: Exchange) -> Reply:
        return json_reply(200, duties.freezing.freeze(callers.resident(asked.call), asked.object("freeze")))

    def erase(asked: Exchange) -> Reply:
        return json_reply(200, duties.erasing.erase(callers.resident(asked.call), asked.object("erasure")).to_json())

    def export(asked: Exchange) -> Reply:
        return json_reply(200, duties.exporting.page(callers.resident(asked.call), after=asked.after()))

    def deletions(asked: Exchange) -> Reply:
        return json_reply(200, duties.deletions.of(callers.resident(asked.call)))

    json = spec.MEDIA_JSON
    return (
        Address("POST", "/me/freeze", KEY, freeze, "Pause all that is given (D6)", takes=json),
        Address("POST", "/me/erasure", KEY, erase, "Erase what has ended (D10)", takes=json),
        Address("GET", "/me/export", KEY, export, "What is held about the caller (D12)"),
        Address("GET", "/me/deletions", KEY, deletions, "By when services delete what they read (D8)"),
        Address("POST", "/me/oppositions", KEY, oppose, "Object to accesses that rest on law (D4)", takes=json),
        Address("GET", "/me/oppositions", KEY, oppositions, "The resident's oppositions"),
        Address("DELETE", "/me/oppositions/{opposition_id}", KEY, end_opposition, "End an opposition"),
    )


def _of_parties(duties: Duties, callers: Callers) -> tuple[Address, ...]:
    def notify(asked: Exchange) -> Reply:
        caller = callers.party(asked.call)
        try:
            decided = duties.noticing.notify(caller, asked.object("notice"))
        except StaleMessage as fault:
            return fault_reply(400, spec.STALE_REQUEST, str(fault))
        except SenderUnproven as fault:
            return fault_reply(400, spec.BAD_SIGNATURE, str(fault))
        return jws_reply(200 if decided.allowed else 403, decided.answer)

    def introspect(asked: Exchange) -> Reply:
        caller = callers.party(asked.call)
        return json_reply(200, duties.introspecting.introspect(caller, asked.call.body))

    def feed(asked: Exchange) -> Reply:
        caller = callers.party(asked.call)
        return jws_reply(200, duties.feeding.page_for(caller, after=max(0, asked.after())))

    def open_case(asked: Exchange) -> Reply:
        return json_reply(200, duties.cases.open(asked.object("opening")))

    def root(asked: Exchange) -> Reply:
        return json_reply(201, duties.rooting.receive(asked.jws("journal root")))

    def deleted(asked: Exchange) -> Reply:
        caller = callers.party(asked.call)
        duties.deletions.receive(caller, asked.path["grant_id"], asked.jws("deletion receipt"))
        return json_reply(201, {"state": "received"})

    return (
        Address("POST", "/introspect", PARTY, introspect, "May this grant be used? (RFC 7662)", takes=spec.MEDIA_FORM),
        Address("GET", "/feed", PARTY, feed, "What happened to the service's grants (D7)"),
        Address(
            "POST", "/openings", SIGNED, open_case, "Two officers open one grant (D11)", takes=spec.MEDIA_JSON,
            slow=True,
        ),
        Address("POST", "/journal-roots", SIGNED, root, "A data holder's root of a day (D9)", takes=spec.MEDIA_JWT),
        Address(
            "POST", "/grants/{grant_id}/deletion-receipts", PARTY, deleted, "What was read is deleted (D8)",
            takes=spec.MEDIA_JWT,
        ),
        Address(
            "POST", "/notices", PARTY, notify, "Access that rests on law (D1)", takes=spec.MEDIA_JSON, slow=True
        ),
    )  # fmt: skip


def _of_anyone(duties: Duties) -> tuple[Address, ...]:
    def statistics(asked: Exchange) -> Reply:
        notices, late = duties.notices.statistics()
        value: dict[str, Any] = {
            "notices": notices,
            "late_notices": sum(count for _, count, _ in late),
            "late": [{"holder": holder, "count": count, "longest_seconds": longest} for holder, count, longest in late],
            "deletions_overdue": duties.deletions.overdue(),
        }
        return json_reply(200, value)

    def roots(asked: Exchange) -> Reply:
        return json_reply(200, duties.rooting.all())

    def status(asked: Exchange) -> Reply:
        return Reply(200, duties.lists.token(asked.path["number"]).encode("ascii"), MEDIA_STATUS)

    return (
        Address("GET", "/statistics", NOBODY, statistics, "Late notices and overdue deletions, counted (D3)"),
        Address("GET", "/journal-roots", NOBODY, roots, "The data holders' roots (D9)"),
        Address("GET", "/status/{number}", NOBODY, status, "States of grants, two bits each (D7)"),
    )
