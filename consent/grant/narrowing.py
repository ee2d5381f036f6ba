"""Nothing wider than what was asked, and nothing wider than what was signed (WIRE C3)."""

from collections.abc import Mapping

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail

Resolutions = Mapping[str, tuple[str, ...]]
"""Per attribute the data declaration's resolutions, finest first."""

_EQUAL = ("holder", "identifier", "procedure", "purpose", "datatypes", "level", "mode", "fetch", "on_change", "grantee")


def check_not_wider(
    asked: AuthorizationDetail, given: AuthorizationDetail, resolutions: Resolutions, *, what: str
) -> None:
    """Raises MessageError unless ``given`` is ``asked`` or narrower.

    Equal: type, locations, identifier, procedure, purpose, level, mode, fetch, on_change, grantee,
    the order of datatypes, each ``optional``. Narrower or equal: attributes (required ones stay),
    resolutions, period, data_life_seconds, max_uses, frequency.
    """
    for name in _EQUAL:
        if getattr(given, name) != getattr(asked, name):
            raise MessageError(f"{what}: {name} differs from what was asked")
    _check_terms(asked, given, resolutions, what)
    if given.not_before < asked.not_before or given.not_after > asked.not_after:
        raise MessageError(f"{what}: the period is wider than what was asked")
    if given.data_life_seconds > asked.data_life_seconds:
        raise MessageError(f"{what}: data_life_seconds is longer than what was asked")
    if asked.max_uses is not None and (given.max_uses is None or given.max_uses > asked.max_uses):
        raise MessageError(f"{what}: max_uses is more than what was asked")
    _check_frequency(asked, given, what)


def _check_terms(asked: AuthorizationDetail, given: AuthorizationDetail, resolutions: Resolutions, what: str) -> None:
    for name, term in asked.terms.items():
        if not term.optional and name not in given.terms:
            raise MessageError(f"{what}: a required attribute is dropped")
    for name, term in given.terms.items():
        before = asked.terms.get(name)
        if before is None:
            raise MessageError(f"{what}: an attribute was not asked for")
        if term.optional != before.optional:
            raise MessageError(f"{what}: optional differs from what was asked")
        order = resolutions.get(name, ())
        if before.resolution not in order or term.resolution not in order:
            raise MessageError(f"{what}: a resolution is not one that the data holder declares")
        if order.index(term.resolution) < order.index(before.resolution):
            raise MessageError(f"{what}: a resolution is finer than what was asked")


def _check_frequency(asked: AuthorizationDetail, given: AuthorizationDetail, what: str) -> None:
    before, after = asked.frequency, given.frequency
    if before is None:
        return
    if after is None or after.max > before.max or after.seconds < before.seconds:
        raise MessageError(f"{what}: frequency is more than what was asked")
