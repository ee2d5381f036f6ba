"""Whether a use came after the withdrawal that forbids it: by the clock, by the grant's counter, by the log."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from consent.ledger.leaf import Kind, Leaf

Late = set[tuple[bytes, int]]
"""Grant id and counter of uses."""


@dataclass(frozen=True, slots=True)
class Use:
    grant_id: bytes
    counter: int
    mask: int
    began: int
    """Nanoseconds of the machine's monotonic clock, which its processes share."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    grant_id: bytes
    mask: int
    acknowledged: int
    counter: int = 0
    """Of its event; 0 where it is not known."""
    proven: int = 0
    """When its proof came; 0 = there was the log's promise only."""
    sent: int = 0


def in_force(ended: Iterable[Withdrawal], outage: tuple[int, int] | None) -> list[Withdrawal]:
    """What was only promised when an old copy of the database was put back is in neither database nor log: the
    resident, who holds the promise, said it again, and from then on it counts.

    ``outage``: when the services were killed, and when they were there again.
    """
    kept = []
    for one in ended:
        if outage is None or one.sent > outage[1] or 0 < one.proven < outage[0]:
            kept.append(one)
        elif one.proven:
            kept.append(replace(one, acknowledged=one.proven))
    return kept


def begun_after(uses: Iterable[Use], ended: Iterable[Withdrawal]) -> Late:
    """Uses that began when the withdrawal of what they took was acknowledged."""
    return {
        (use.grant_id, use.counter)
        for use, ending in _pairs(uses, ended)
        if use.mask & ending.mask and use.began > ending.acknowledged
    }


def counted_after(uses: Iterable[Use], ended: Iterable[Withdrawal]) -> Late:
    """Uses whose counter is beyond that of the withdrawal of what they took."""
    return {
        (use.grant_id, use.counter)
        for use, ending in _pairs(uses, ended)
        if use.mask & ending.mask and 0 < ending.counter < use.counter
    }


def logged_after(leaves: Iterable[Leaf]) -> Late:
    """Uses whose leaf stands behind the withdrawal of what they took, or between a pause and the next resume."""
    left: dict[bytes, int] = {}
    paused: set[bytes] = set()
    late: Late = set()
    for leaf in leaves:
        match leaf.kind:
            case Kind.GRANT | Kind.AMEND | Kind.WITHDRAW | Kind.REVOKE:
                left[leaf.id] = leaf.mask
            case Kind.PAUSE:
                paused.add(leaf.id)
            case Kind.RESUME:
                paused.discard(leaf.id)
            case Kind.USE if leaf.mask & ~left[leaf.id] or leaf.id in paused:
                late.add((leaf.id, leaf.counter))
    return late


def misnumbered(ended: Iterable[Withdrawal], leaves: Iterable[Leaf]) -> list[Withdrawal]:
    """Withdrawals that were answered with a counter that the log gives to something else."""
    kinds = {(leaf.id, leaf.counter): leaf.kind for leaf in leaves if leaf.counter}
    ends = (Kind.WITHDRAW, Kind.AMEND, None)
    return [one for one in ended if one.counter and kinds.get((one.grant_id, one.counter)) not in ends]


def _pairs(uses: Iterable[Use], ended: Iterable[Withdrawal]) -> Iterable[tuple[Use, Withdrawal]]:
    endings: dict[bytes, list[Withdrawal]] = defaultdict(list)
    for one in ended:
        endings[one.grant_id].append(one)
    return ((use, ending) for use in uses for ending in endings.get(use.grant_id, ()))


def unlogged(uses: Sequence[Use], leaves: Iterable[Leaf]) -> Late:
    """Uses that were allowed and whose leaf is not in the log: a use without a record."""
    logged = {(leaf.id, leaf.counter) for leaf in leaves if leaf.kind is Kind.USE}
    return {(use.grant_id, use.counter) for use in uses} - logged
