"""``atorga issuer …``: what a clerk or an operator does, on the machine of the issuer.

    offer      an offer for a row of the register, after somebody has looked at a document
    revoke     by credential id, by a place in a status list, or all of a person's (whose number is
               asked for on standard input: what stands on a command line is seen by others)
    tick       the daily flip of revocations that do not show at once (the service does it too)
    deferred   requests that wait: list, approve, refuse

Each prints one JSON line. The service may run meanwhile: both work on the same rows.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from identity.issuer.revocation import RevokedCredential
    from identity.issuer.town_hall import TownHall


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds ``issuer`` to the commands of ``atorga``."""
    issuer = commands.add_parser("issuer", help="a town hall's counter: offers, revocations, decisions")
    issuer.add_argument("--config", type=Path, required=True, metavar="FILE", help="the issuer's configuration")
    issuer.add_argument("--profile", choices=("production", "sandbox"), default="production")
    issuer.add_argument("--tenant", metavar="NAME", help="which town hall, where there is more than one")
    acts = issuer.add_subparsers(dest="act", required=True, metavar="ACT")

    offer = acts.add_parser("offer", help="an offer for somebody who was identified here")
    offer.add_argument("--subject", required=True, metavar="ROW", help="the person's row in the register")
    offer.add_argument("--tx-code", action="store_true", help="with a code for the paper")
    offer.add_argument("configurations", nargs="+", metavar="CONFIGURATION")

    revoke = acts.add_parser("revoke", help="revoke all copies of a credential")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--credential", metavar="ID")
    which.add_argument("--status", nargs=2, metavar=("URI", "INDEX"))
    which.add_argument("--person", action="store_true", help="all of a person's; the number is read from stdin")
    revoke.add_argument("--configuration", metavar="ID", help="with --person: of this one only")
    revoke.add_argument("--reason", required=True, metavar="REASON")

    acts.add_parser("tick", help="the daily flip")

    deferred = acts.add_parser("deferred", help="requests that wait for a decision")
    decide = deferred.add_mutually_exclusive_group()
    decide.add_argument("--approve", type=int, metavar="NUMBER")
    decide.add_argument("--refuse", type=int, metavar="NUMBER")
    decide.add_argument("--person", action="store_true", help="list those of a person; the number is read from stdin")


def run(given: argparse.Namespace, *, stdin: TextIO | None = None, stdout: TextIO | None = None) -> int:
    """0 done, 1 refused, 2 a configuration that cannot be used."""
    from atorga.serve import issuer
    from atorga.serve.settings import ConfigurationError, load
    from identity.errors import IdentityError

    out = stdout or sys.stdout
    try:
        head, rest = load(given.config, profile=given.profile)
        settings = issuer.settings(head, rest)
        rest.done()
        halls = issuer.open_halls(settings, profile=given.profile, clock=time.time, random=secrets.token_bytes)
        hall = _hall(halls, given.tenant)
    except ConfigurationError as fault:
        sys.stderr.write(f"issuer: {given.config}: {fault}\n")
        return 2
    try:
        answer = _act(hall, given, stdin or sys.stdin)
    except (IdentityError, ValueError) as fault:
        sys.stderr.write(f"issuer: {fault}\n")
        return 1
    out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return 0


def _hall(halls: "dict[str, TownHall]", name: str | None) -> "TownHall":
    from atorga.serve.settings import ConfigurationError

    if name is None and len(halls) == 1:
        return next(iter(halls.values()))
    if name not in halls:
        raise ConfigurationError(f"--tenant: one of {', '.join(sorted(halls))} is expected")
    return halls[name]


def _act(hall: "TownHall", given: argparse.Namespace, stdin: TextIO) -> dict[str, Any]:
    if given.act == "offer":
        return _offer(hall, given.configurations, given.subject, given.tx_code)
    if given.act == "revoke":
        return {"revoked": [_revoked(one) for one in _revoke(hall, given, stdin)]}
    if given.act == "tick":
        return {"flipped": hall.revocation.tick()}
    return _deferred(hall, given, stdin)


def _offer(hall: "TownHall", configurations: Sequence[str], row: str, with_tx_code: bool) -> dict[str, Any]:
    from identity.issuer.person import Subject

    subject = Subject(None, row)
    hall.sources.person(subject)
    made = hall.offers.pre_authorized(configurations, subject, with_tx_code=with_tx_code, by_reference=False)
    answer = {"credential_offer": made.link}
    return answer if made.tx_code is None else answer | {"tx_code": made.tx_code}


def _revoke(hall: "TownHall", given: argparse.Namespace, stdin: TextIO) -> "list[RevokedCredential]":
    if given.credential is not None:
        return hall.revocation.by_id(given.credential, given.reason)
    if given.status is not None:
        uri, index = given.status
        return hall.revocation.by_status(uri, int(index), given.reason)
    return hall.revocation.by_person(_number(stdin), given.reason, given.configuration)


def _revoked(one: "RevokedCredential") -> dict[str, Any]:
    return {"credential_id": one.credential_id, "copies": one.copies}


def _deferred(hall: "TownHall", given: argparse.Namespace, stdin: TextIO) -> dict[str, Any]:
    from identity.issuer.store.deferred import Decision

    now = int(time.time())
    if given.approve is not None or given.refuse is not None:
        number = given.approve if given.approve is not None else given.refuse
        decision = Decision.APPROVED if given.approve is not None else Decision.REFUSED
        if not hall.deferred.decide(number, decision, now=now):
            raise ValueError(f"deferred: there is nothing to decide under number {number}")
        return {"number": number, "decision": decision.name.lower()}
    person_hash = hall.revocation.person_hash(_number(stdin)) if given.person else None
    found = hall.deferred.waiting(now=now, person_hash=person_hash)
    return {
        "waiting": [
            {"number": one.number, "configuration": one.configuration, "requested": one.requested} for one in found
        ]
    }


def _number(stdin: TextIO) -> str:
    if stdin.isatty():
        sys.stderr.write("NIF or NIE: ")
    number = stdin.readline().strip().upper()
    if not number:
        raise ValueError("person: no number was given")
    return number
