"""What of this wallet answers a query, and which claims of it would be disclosed (OpenID4VP 1.0 section 6.4).

Nothing optional is given, and of each credential only the claims asked for, named by their path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt_vc import parse
from identity.openid4vp.dcql import DcqlQuery
from identity.openid4vp.match import Evaluation, evaluate
from wallet_cli.errand import Errand
from wallet_cli.errors import RequestRefused
from wallet_cli.present import copies
from wallet_cli.receive import refill
from wallet_cli.store import credentials
from wallet_cli.store.credentials import Credential

PAIRWISE = "urn:atorga:pairwise:1"
IDS = "ids"
"""Its one member: organisation → the number that only this organisation knows."""


@dataclass(frozen=True, slots=True)
class Held:
    """A stored credential as matching reads it; all its copies say the same."""

    credential: Credential
    vct: str
    aka_vcts: tuple[str, ...]
    claims: dict[str, Any]
    header: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One credential of an answer."""

    query_id: str
    held: Held
    claims: tuple[Location, ...]
    """What is disclosed."""

    def value(self, location: Location) -> Any:
        found: Any = self.held.claims
        for component in location:
            found = found[component]
        return found


def held(errand: Errand) -> list[Held]:
    """Those with fresh copies first, the newest first among equals."""
    found = []
    for credential in credentials.credentials(errand.store):
        stored = credentials.copies(errand.store, credential.id)
        if stored:
            peeked = parse.peek(stored[0].body)
            found.append(Held(credential, peeked.vct, peeked.aka_vcts, peeked.claims, peeked.header))
    return sorted(
        found,
        key=lambda one: (
            not credentials.unused(errand.store, one.credential.id, now=errand.now),
            -one.credential.added,
        ),
    )


def choose(errand: Errand, query: DcqlQuery) -> list[Part]:
    """The parts of the smallest answer, each with a copy to show. Raises RequestRefused where there is none."""
    found = evaluate(query, held(errand))
    if found.missing and _refresh_pairwise(errand, query, found):
        found = evaluate(query, held(errand))
    parts = _parts(query, found)
    fetched = [copies.prepare(errand, part.held.credential) for part in parts]
    # What new copies say may be newer than what was read.
    return _parts(query, evaluate(query, held(errand))) if any(fetched) else parts


def _parts(query: DcqlQuery, found: Evaluation[Held]) -> list[Part]:
    if found.missing:
        wanted = [query.credential(query_id) for query_id in found.missing]
        types = [name for asked in wanted if asked is not None for name in asked.vct_values or (asked.format,)]
        raise RequestRefused("no_matching_credential", f"asked for: {', '.join(types)[:256]}")
    if not found.needed:
        raise RequestRefused("request_invalid", "request: asks for nothing that must be given")
    first = {query_id: found.candidates[query_id][0] for query_id in found.needed}
    return [Part(query_id, one.credential, one.match.claims) for query_id, one in first.items()]


def _refresh_pairwise(errand: Errand, query: DcqlQuery, found: Evaluation[Held]) -> bool:
    """An organisation may be newer than our pairwise identifiers: they are fetched anew, once."""
    lacking = [query.credential(query_id) for query_id in found.missing]
    if not any(
        asked is not None and PAIRWISE in asked.vct_values and any(claim.path[0] == IDS for claim in asked.claims)
        for asked in lacking
    ):
        return False
    renewed = [
        refill.try_refill(errand.world, errand.network, errand.store, one.credential, errand.trust.issuer_key) is None
        for one in held(errand)
        if one.vct == PAIRWISE
    ]
    return any(renewed)
