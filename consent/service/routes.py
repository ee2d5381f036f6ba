"""The addresses of the consent service (WIRE section B): who may call, what goes in, which status comes out."""

from consent import spec
from consent.errors import MessageError, SenderUnproven, StaleMessage
from consent.service.accreditation_routes import accreditation_addresses
from consent.service.address import KEY, NEWCOMER, NOBODY, PARTY, SIGNED, Address
from consent.service.allowance import Allowance
from consent.service.duty_routes import duty_addresses
from consent.service.exchange import Exchange, Reply, fault_reply, json_reply, jws_reply
from consent.service.mandate_routes import mandate_addresses, with_mandates
from consent.service.office import Office
from consent.signed_message import exact, reading
from identity.codec import members

ENROLMENTS_PER_MINUTE = 600
"""From one address: a municipal library is one, and each enrolment begun costs a signature and a row."""


def addresses(office: Office) -> tuple[Address, ...]:
    standing, callers = office.standing, office.callers
    table = (
        *_of_residents(office),
        *_of_grant_keys(office),
        *_of_parties(office),
        *_of_anyone(office),
        *duty_addresses(office.duties, callers),
        *accreditation_addresses(standing.accrediting, callers),
        *mandate_addresses(standing.representing, callers),
    )
    return with_mandates(table, callers, standing.representing, standing.delegated, url=office.operator.url)


def _of_residents(office: Office) -> tuple[Address, ...]:
    callers, asking, reading_ = office.callers, office.asking, office.reading

    def enrol(asked: Exchange) -> Reply:
        key = callers.newcomer(asked.call)
        done = office.enrolling.enrol(key, asked.object("enrolment"))
        if done.recovered:
            return json_reply(200, {"state": "recovered", "full_after": done.account.full_after})
        return json_reply(201, {"state": "active"})

    def recoveries(asked: Exchange) -> Reply:
        return json_reply(200, office.recovering.of(asked.call))

    def cancel_recovery(asked: Exchange) -> Reply:
        return json_reply(200, office.recovering.cancel(asked.call, asked.path["recovery_id"]))

    def open_mailbox(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        return json_reply(201, {"mailbox": asking.open_mailbox(account, asked.object("mailbox"))})

    def close_mailbox(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        return json_reply(200, {"mailbox": asking.close_mailbox(account, asked.object("mailbox")), "state": "closed"})

    def requests(asked: Exchange) -> Reply:
        return json_reply(200, asking.waiting(callers.resident(asked.call)))

    def decide(asked: Exchange) -> Reply:
        caller = callers.unspent_resident(asked.call)
        with callers.refusing(caller.proof):
            given = office.granting.decide(caller.account, asked.object("grant"), proof=caller.proof)
        if given is None:
            return json_reply(201, {"state": "refused"})
        receipt = f"{office.operator.url}/me/receipts/{given.receipt_id}"
        return json_reply(201, {"grant_id": given.grant_id, "state": "given", "counter": 1, "receipt": receipt})

    def grants(asked: Exchange) -> Reply:
        return json_reply(200, reading_.grants_of(callers.resident(asked.call)))

    def grant(asked: Exchange) -> Reply:
        return json_reply(200, reading_.grant_of(callers.resident(asked.call), asked.path["grant_id"]))

    def withdraw(asked: Exchange) -> Reply:
        account = callers.resident(asked.call)
        body = asked.object_or_nothing("withdrawal")
        return json_reply(200, office.withdrawing.by_account(account, asked.path["grant_id"], body).to_json())

    def timeline(asked: Exchange) -> Reply:
        return json_reply(200, reading_.timeline(callers.resident(asked.call), after=asked.after()))

    def receipt(asked: Exchange) -> Reply:
        found = reading_.receipt(callers.resident(asked.call), asked.path["receipt_id"], asked.languages)
        return json_reply(200, found.to_json(), spec.MEDIA_RECEIPT)

    json = spec.MEDIA_JSON
    return (
        Address("POST", "/me/account", NEWCOMER, enrol, "Enrol, or recover an account (C10)", takes=json),
        Address("GET", "/me/recoveries", KEY, recoveries, "Who took the account over (D18)"),
        Address("DELETE", "/me/recoveries/{recovery_id}", KEY, cancel_recovery, "Send a recovered key away (D18)"),
        Address("POST", "/me/mailboxes", KEY, open_mailbox, "Open a mailbox", takes=json),
        Address("DELETE", "/me/mailboxes", KEY, close_mailbox, "Close a mailbox", takes=json),
        Address("GET", "/me/requests", KEY, requests, "Requests in the resident's mailboxes"),
        Address("POST", "/me/grants", KEY, decide, "Give or refuse (C3)", takes=json),
        Address("GET", "/me/grants", KEY, grants, "The resident's grants"),
        Address("GET", "/me/grants/{grant_id}", KEY, grant, "One grant, with its opening key (C15)"),
        Address(
            "POST", "/me/grants/{grant_id}/withdrawal", KEY, withdraw, "Withdraw without the grant key",
            takes=json, body_optional=True,
        ),
        Address("GET", "/me/timeline", KEY, timeline, "What was logged of the resident's grants"),
        Address("GET", "/me/receipts/{receipt_id}", KEY, receipt, "A receipt (C9)"),
    )  # fmt: skip


def _of_grant_keys(office: Office) -> tuple[Address, ...]:
    def withdraw(asked: Exchange) -> Reply:
        done = office.withdrawing.by_grant_key(asked.jws("withdrawal"), address=asked.address)
        return json_reply(202, {"state": "noted"}) if done is None else json_reply(200, done.to_json())

    def act(asked: Exchange) -> Reply:
        return json_reply(200, office.acting.act(asked.path["grant_id"], asked.jws("grant act")).to_json())

    return (
        Address("POST", "/withdrawals", SIGNED, withdraw, "Withdraw (C5)", takes=spec.MEDIA_JWT),
        Address(
            "PATCH", "/me/grants/{grant_id}", SIGNED, act, "Pause, resume or narrow (C5)",
            takes=spec.MEDIA_JWT, slow=True,
        ),
    )  # fmt: skip


def _of_parties(office: Office) -> tuple[Address, ...]:
    callers = office.callers

    def declare(asked: Exchange) -> Reply:
        done = office.declaring.declare(asked.jws("declaration"))
        return json_reply(201, {"id": done.id, "version": done.version, "number": done.number})

    def ask(asked: Exchange) -> Reply:
        return json_reply(201, office.asking.ask(asked.jws("consent request")).to_json())

    def request(asked: Exchange) -> Reply:
        return json_reply(200, office.asking.state(callers.party(asked.call), asked.path["request_id"]))

    def grant(asked: Exchange) -> Reply:
        return json_reply(200, office.reading.grant_for(callers.party(asked.call), asked.path["grant_id"]))

    def give_back(asked: Exchange) -> Reply:
        ended = office.withdrawing.give_back(callers.party(asked.call), asked.path["grant_id"])
        return json_reply(200, {"state": "revoked", "counter": ended.counter})

    async def use(asked: Exchange) -> Reply:
        listed = await office.deciding.listed()
        caller = callers.unspent_party(asked.call, listed)
        body, what = asked.object("use"), "use"
        exact(body, what, frozenset({"use_request"}))
        with reading(what):
            compact = members.text(body, "use_request", what=what, max_length=spec.MAX_JWS)
        try:
            decided = await office.deciding.decide(caller.party, compact, listed=listed, proof=caller.proof)
        except StaleMessage as fault:
            return fault_reply(400, spec.STALE_REQUEST, str(fault))
        except SenderUnproven as fault:
            return fault_reply(400, spec.BAD_SIGNATURE, str(fault))
        return jws_reply(200 if decided.allowed else 403, decided.answer)

    jwt = spec.MEDIA_JWT
    return (
        Address("POST", "/declarations", SIGNED, declare, "Declare a purpose or data (C13)", takes=jwt),
        Address("POST", "/requests", SIGNED, ask, "Ask for consent (C2)", takes=jwt),
        Address("GET", "/requests/{request_id}", PARTY, request, "What became of a request"),
        Address("GET", "/grants/{grant_id}", PARTY, grant, "A grant, for its own service"),
        Address("DELETE", "/grants/{grant_id}", PARTY, give_back, "Give a grant back"),
        Address("POST", "/uses", PARTY, use, "May this be released? (C4)", takes=spec.MEDIA_JSON),
    )


def _of_anyone(office: Office) -> tuple[Address, ...]:
    catalogue = office.catalogue
    enrolments = Allowance(ENROLMENTS_PER_MINUTE, office.operator.clock)

    def account_request(asked: Exchange) -> Reply:
        enrolments.spend(asked.address)
        query = asked.query
        if query.keys() not in ({"jkt"}, {"jkt", "mandate"}) or query.get("mandate", "1") != "1":
            raise MessageError("query: jkt is expected, and mandate=1 for a mandate's key")
        make_jar = office.standing.credentials.make_mandate_jar if "mandate" in query else None
        return json_reply(200, office.enrolling.offer(query["jkt"], make_jar))

    def request_object(asked: Exchange) -> Reply:
        return jws_reply(200, office.asking.signed(asked.path["request_id"]))

    def declarations(asked: Exchange) -> Reply:
        return json_reply(200, {"declarations": list(catalogue.declarations())})

    def services(asked: Exchange) -> Reply:
        return json_reply(
            200,
            {
                "services": [{"id": party, "number": number} for party, number in catalogue.parties().items()],
                "purposes": [{"iri": iri, "number": number} for iri, number in catalogue.purposes().items()],
                "groups": [group.to_json() for group in catalogue.groups()],
            },
        )

    return (
        Address("GET", "/me/account/request", NOBODY, account_request, "What to present to enrol (C10)"),
        Address("GET", "/requests/{request_id}/jwt", NOBODY, request_object, "A consent request (C2)"),
        Address("GET", "/declarations", NOBODY, declarations, "All declarations (C13)"),
        Address("GET", "/services", NOBODY, services, "Numbers of parties and purposes (C6)"),
    )
