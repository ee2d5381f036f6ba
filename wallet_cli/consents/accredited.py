"""Who may read by a permission that is for any accredited service (ADR 0009, D13): today, by name.

The list informs: others may be accredited tomorrow, and that is said too. Only services of the
signed list are named, with the name that they have there.
"""

from urllib.parse import urlencode

from consent.grant.detail import AuthorizationDetail
from identity.codec.members import integer, text
from identity.errors import EncodingError
from wallet_cli.consents.parties import CONSENT, SERVICE, endpoint
from wallet_cli.consents.request import Asked
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.terminal import plain

MAX_SERVICES = 1_000
_WHAT = "accredited"


def show(errand: Errand, asked: Asked, detail: AuthorizationDetail) -> None:
    if detail.grantee is None:
        return
    texts, grantee = errand.texts, detail.grantee
    accreditor = plain(texts.pick(errand.trust.name_of(grantee.accreditor)) or grantee.accreditor)
    errand.terminal.alarm(texts("accredited.anyone", accreditor=accreditor, kind=texts.label("type", grantee.vct)))
    try:
        today = _today(errand, asked, grantee.vct, grantee.accreditor)
    except (ConsentRefused, NetworkError):
        errand.warn("accredited.unknown")
        return
    errand.say("accredited.today" if today else "accredited.nobody")
    for name, until in today:
        errand.say("accredited.line", service=name, until=texts.date(until))
    errand.say("accredited.tomorrow")


def _today(errand: Errand, asked: Asked, vct: str, accreditor: str) -> list[tuple[str, int]]:
    query = urlencode({"vct": vct, "accreditor": accreditor})
    answer = errand.network.get(f"{endpoint(asked.consent, CONSENT)}/accredited?{query}").expect(200, what=_WHAT)
    listed = answer.object(what=_WHAT).get("services")
    if not isinstance(listed, list) or len(listed) > MAX_SERVICES:
        raise ConsentRefused("bad_answer", f"{_WHAT}: a list of at most {MAX_SERVICES} is expected")
    found = []
    for value in listed:
        try:
            if not isinstance(value, dict):
                raise EncodingError(f"{_WHAT}: an entry is an object")
            party_id, until = text(value, "id", what=_WHAT, max_length=128), integer(value, "until", what=_WHAT)
        except EncodingError as fault:
            raise ConsentRefused("bad_answer", str(fault)) from None
        party = errand.trust.parties().named(party_id, SERVICE)
        found.append((plain(errand.texts.pick(party.name) or party.id), until))
    return sorted(found)
