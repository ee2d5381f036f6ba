"""The events of one grant in the order of their counters: what may follow what (DESIGN sections 7 and 8).

1. Nothing but an erasure follows an end.
2. No use stands between a pause and the resume after it.
3. A use reads no attribute that the last narrowing had taken away, and comes not after its end.
4. Uses are no more than the last narrowing, or the grant, allows.
5. What opens a grant again was asked for by this wallet: by an act of its own, or at the end of a
   freeze that it had given an end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from consent.ledger.leaf import Kind
from wallet_cli.consents.entry import Entry, Finding
from wallet_cli.consents.fitting import SKEW_SECONDS
from wallet_cli.store.acts import Freeze

ENDS = frozenset({Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE})
FREEZE = "freeze"
"""``by`` of a pause or resume that a freeze made (ADR 0009, D6)."""


def check(entries: Sequence[Entry], own_acts: frozenset[str], freezes: Sequence[Freeze]) -> list[Finding]:
    """``entries``: of one grant, its counted ones, by counter. ``own_acts``: hashes of this wallet's acts."""
    findings: list[Finding] = []
    allowed: frozenset[str] = frozenset()
    not_after, most, uses = 0, None, 0
    paused = ended = False
    pause: Entry | None = None

    def finding(code: str, entry: Entry, detail: str) -> None:
        findings.append(Finding(code, entry.grant_id, f"event {entry.counter}: {detail}"))

    for entry in entries:
        event = entry.event
        # 1
        if ended and entry.kind is not Kind.ERASE:
            finding("event_after_end", entry, f"{entry.kind.word} after the permission had ended")
        match entry.kind:
            case Kind.GRANT | Kind.AMEND:
                narrower = frozenset(entry.attributes)
                if entry.kind is Kind.AMEND and not _is_narrower(event, narrower, allowed, not_after, most):
                    finding("event_after_end", entry, "a narrowing that gives more than there was")
                allowed, not_after, most = narrower, int(event.get("not_after", 0)), event.get("max_uses")
            case Kind.PAUSE:
                paused, pause = True, entry
            case Kind.RESUME:
                # 5
                if not _asked_for(entry, pause, own_acts, freezes):
                    finding("foreign_resume", entry, "it goes on again, and this wallet did not ask for that")
                paused = False
            case Kind.USE:
                uses += 1
                # 2
                if paused:
                    finding("use_while_paused", entry, "a use while the permission was in pause")
                # 3
                if not set(entry.attributes) <= allowed or entry.time >= not_after + SKEW_SECONDS:
                    finding("use_beyond", entry, "a use of what had been taken away")
                # 4
                if most is not None and uses > most:
                    finding("use_beyond", entry, f"use {uses} of at most {most}")
            case kind if kind in ENDS:
                ended = True
    return findings


def _is_narrower(
    event: Mapping[str, Any], attributes: frozenset[str], allowed: frozenset[str], not_after: int, most: int | None
) -> bool:
    uses = event.get("max_uses")
    fewer = most is None or (uses is not None and uses <= most)
    return attributes <= allowed and int(event.get("not_after", 0)) <= not_after and fewer


def _asked_for(entry: Entry, pause: Entry | None, own_acts: frozenset[str], freezes: Sequence[Freeze]) -> bool:
    if entry.event.get("act_hash") in own_acts:
        return True
    if entry.event.get("by") != FREEZE or pause is None or pause.event.get("by") != FREEZE:
        return False
    own = [one for one in freezes if abs(one.made - pause.time) <= SKEW_SECONDS]
    # A freeze by somebody with a mandate ends as it was made; it opens nothing that was not open before.
    return not own or any(one.until is not None and one.until <= entry.time + SKEW_SECONDS for one in own)
