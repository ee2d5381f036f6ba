"""What of a grant is in force: the detail after amendments, less the attributes that were withdrawn."""

from functools import lru_cache

from consent.grant.decision import State
from consent.grant.detail import AuthorizationDetail
from consent.ledger.grant_row import GIVEN, PAUSED, GrantBody, HotRow
from consent.ledger.leaf import names_of
from identity.codec import strict_json

KEPT_DETAILS = 4_096
"""Read details kept, some 10 MiB: grants that are used again and again are not read again and again."""


def stored_detail(body: GrantBody) -> AuthorizationDetail:
    """As the last amendment left it."""
    return _read(body.details)


@lru_cache(maxsize=KEPT_DETAILS)
def _read(details: str) -> AuthorizationDetail:
    # By the text itself, which comes from the row: what an amendment changed is another text.
    value = strict_json.parse(details, what="stored detail")
    return AuthorizationDetail.parse(value, what="stored detail")


def detail_in_force(row: HotRow, body: GrantBody) -> AuthorizationDetail:
    """The bit set in the hot row is the law: what it lacks was withdrawn."""
    detail = stored_detail(body)
    withdrawn = detail.terms.keys() - set(names_of(detail.datatypes, row.mask))
    return detail.without(frozenset(withdrawn)) if withdrawn else detail


def state_at(row: HotRow, now: int) -> State:
    """A grant past its end has expired, whether or not anybody wrote that down yet."""
    if row.state in (GIVEN, PAUSED) and now >= row.not_after:
        return State.EXPIRED
    return State(row.state)
