"""More than is needed? What a person should think about before they agree.

What a request says it is for is its sender's own word, and nothing registered says what that needs.
So the wallet repeats the word as theirs, and points at what it can judge by itself:

 - a number of somebody else: pairwise identifiers of other organisations join what was kept apart;
 - a date of birth, where the same credential holds the answer to "old enough?";
 - the number of the identity card, by which everything can be joined.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from identity.formats.sd_jwt.claim_path import Location
from wallet_cli.present.choose import IDS, PAIRWISE, Part
from wallet_cli.present.request import Request

AGES = "age_equal_or_over"
BIRTHDATE = "birthdate"
NUMBER = "personal_administrative_number"


@dataclass(frozen=True, slots=True)
class Warnings:
    needless: tuple[str, ...]
    """Keys of the catalogue: more than can be needed. Outside a sandbox ``--yes`` does not pass them."""
    think: tuple[str, ...]
    """Keys of the catalogue: may be needed, and should be thought about."""


def weigh(request: Request, parts: Sequence[Part]) -> Warnings:
    needless: list[str] = []
    think: list[str] = []
    for part in parts:
        if part.held.vct == PAIRWISE and any(_of_another(request, location) for location in part.claims):
            needless.append("needless.other_number")
        names = {location[0] for location in part.claims}
        if BIRTHDATE in names and AGES in names:
            needless.append("needless.birthdate_and_age")
        elif BIRTHDATE in names and isinstance(part.held.claims.get(AGES), dict):
            think.append("think.birthdate")
        if NUMBER in names:
            think.append("think.number")
    return Warnings(tuple(dict.fromkeys(needless)), tuple(dict.fromkeys(think)))


def _of_another(request: Request, location: Location) -> bool:
    if location[:1] != (IDS,):
        return False
    return request.party is None or len(location) < 2 or location[1] != request.party.id
