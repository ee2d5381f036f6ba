"""Giving less than was asked: fewer attributes, fewer days, fewer uses, less exact (WIRE C3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail, Term
from consent.grant.narrowing import Resolutions, check_not_wider
from wallet_cli.errors import ConsentRefused, UsageFault

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Wishes:
    drop: frozenset[str]
    days: int | None
    max_uses: int | None
    resolutions: Mapping[str, str]


def parse_wishes(drop: Sequence[str], days: int | None, max_uses: int | None, resolutions: Sequence[str]) -> Wishes:
    """From the command line. Raises UsageFault."""
    chosen: dict[str, str] = {}
    for entry in resolutions:
        name, separator, resolution = entry.partition("=")
        if not (name and separator and resolution):
            raise UsageFault("usage", f"--resolution: {entry!r} is not ATTRIBUTE=RESOLUTION")
        chosen[name] = resolution
    for option, value in (("--days", days), ("--max-uses", max_uses)):
        if value is not None and value < 1:
            raise UsageFault("usage", f"{option}: must be 1 or more")
    return Wishes(frozenset(drop), days, max_uses, chosen)


def narrow(asked: AuthorizationDetail, wishes: Wishes, resolutions: Resolutions, *, now: int) -> AuthorizationDetail:
    """Raises ConsentRefused where a wish is no narrowing."""
    for name in (*wishes.drop, *wishes.resolutions):
        if name not in asked.terms:
            raise ConsentRefused("not_narrower", f"{name[:64]!r} is not asked for; asked: {', '.join(asked.terms)}")
    for name in wishes.drop:
        if not asked.terms[name].optional:
            raise ConsentRefused("cannot_drop", f"{name!r} is required by the procedure")
    terms = {
        name: Term(wishes.resolutions.get(name, term.resolution), term.optional)
        for name, term in asked.terms.items()
        if name not in wishes.drop
    }
    if not terms:
        raise ConsentRefused("cannot_drop", "nothing is left; say no to the whole request with --refuse")
    not_after = asked.not_after if wishes.days is None else min(asked.not_after, now + wishes.days * DAY_SECONDS)
    given = replace(
        asked,
        terms=terms,
        not_after=not_after,
        max_uses=asked.max_uses if wishes.max_uses is None else min(wishes.max_uses, asked.max_uses or wishes.max_uses),
    )
    try:
        check_not_wider(asked, given, resolutions, what="grant")
    except MessageError as fault:
        raise ConsentRefused("not_narrower", str(fault)) from None
    if given.not_before >= given.not_after:
        raise ConsentRefused("not_narrower", "the period would end before it begins")
    return given
