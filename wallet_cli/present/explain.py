"""What the screen says before anything is shown: who asks, what exactly, why, and for how long."""

from collections.abc import Sequence

from wallet_cli.errand import Errand
from wallet_cli.present.choose import IDS, PAIRWISE, Part
from wallet_cli.present.request import Request
from wallet_cli.terminal import plain


def show_request(errand: Errand, request: Request, parts: Sequence[Part]) -> None:
    terminal = errand.terminal
    terminal.say()
    if request.party is None:
        errand.warn("present.unknown", host=plain(request.host))
        errand.say("present.who", who=plain(request.host))
    else:
        errand.say("present.who", who=party_name(errand, request))
        errand.say("present.legal_entity", name=plain(request.party.legal_entity))
    for part in parts:
        errand.say("present.from", name=credential_name(errand, part))
        for location in part.claims:
            terminal.say("  - " + claim_line(errand, request, part, location))
        if not part.claims:
            errand.say("present.only_holding")
    _show_why(errand, request)
    errand.say("present.how_long")
    terminal.say()


def _show_why(errand: Errand, request: Request) -> None:
    """The words of a listed party, said to be its own; a stranger's would only lend it credit."""
    stated = request.verified.stated
    words = errand.texts.pick(stated.purpose) if stated is not None and request.party is not None else None
    if words is None:
        errand.say("present.why_unknown")
    else:
        errand.say("present.why", purpose=plain(words))


def party_name(errand: Errand, request: Request) -> str:
    party = request.party
    return plain(request.host if party is None else errand.texts.pick(party.name) or party.id)


def credential_name(errand: Errand, part: Part) -> str:
    return plain(errand.texts.pick(part.held.credential.names) or part.held.vct)


def claim_line(errand: Errand, request: Request, part: Part, location: Sequence[str | int]) -> str:
    """Name and value; of a pairwise identifier the meaning, since its value says nothing to anybody else."""
    if part.held.vct == PAIRWISE and location[:1] == (IDS,):
        return errand.texts("claim.pairwise", party=_organisation(errand, request, location))
    label = errand.texts.claim(".".join(map(str, location)))
    return f"{label}: {errand.texts.value(part.value(tuple(location)))}"


def _organisation(errand: Errand, request: Request, location: Sequence[str | int]) -> str:
    if len(location) < 2:
        return errand.texts("present.every_organisation")
    if request.party is not None and location[1] == request.party.id:
        return party_name(errand, request)
    return plain(str(location[1]))
