"""Which earlier grant a new one stands in for (DESIGN §7: a renewal is a new grant id, so that the log joins neither).

Nothing on the wire says it: the ids are unrelated on purpose. Whoever holds both (the resident's
wallet) knows, and shows what has changed (``consent.procedure.difference``).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from consent.grant.grant import VerifiedGrant
from consent.grant.lifecycle import Given, RenewedGiven


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a grant is about, and when it was given (NumericDate)."""

    grant_id: str
    service: str
    holder: str
    procedure: str
    purpose: str
    declaration: str
    """``id@version``: the text that was agreed to."""
    issued: int

    @classmethod
    def of(cls, grant: VerifiedGrant) -> "Agreement":
        detail = grant.detail
        return cls(
            grant.id, grant.service, grant.holder, detail.procedure, detail.purpose, detail.identifier, grant.issued
        )


def predecessor(new: Agreement, earlier: Iterable[Agreement]) -> Agreement | None:
    """The newest one before it with the same service and data holder for the same procedure; its purpose may have
    been another one, which the resident is to see.
    """
    same = [
        one
        for one in earlier
        if one.grant_id != new.grant_id
        and (one.service, one.holder, one.procedure) == (new.service, new.holder, new.procedure)
        and one.issued < new.issued
    ]
    return max(same, key=lambda one: one.issued, default=None)


def state_of(new: Agreement, earlier: Iterable[Agreement]) -> Given:
    """The state in which a grant begins."""
    return Given() if predecessor(new, earlier) is None else RenewedGiven()
