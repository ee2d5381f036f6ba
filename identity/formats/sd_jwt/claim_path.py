"""Claim paths: which claims of a payload are meant (SD-JWT VC section 4.6.1, OpenID4VP 1.0 section 7).

A path never counts disclosures: it names members, so that adding a claim moves no other.
"""

from typing import Any

from identity.errors import SdJwtError

ClaimPath = tuple[str | int | None, ...]
"""A member's name, an index, or None for every element of an array."""

Location = tuple[str | int, ...]
"""One claim: a path without None."""


def check(path: ClaimPath) -> None:
    """Raises SdJwtError unless the path is one or more names, indexes of 0 or more, and None."""
    if not path:
        raise SdJwtError("claim path: is empty")
    for component in path:
        if isinstance(component, bool) or not (component is None or isinstance(component, str | int)):
            raise SdJwtError("claim path: a component must be a name, an index or null")
        if isinstance(component, int) and component < 0:
            raise SdJwtError("claim path: an index must not be negative")


def select(claims: Any, path: ClaimPath) -> list[Location]:
    """The claims that ``path`` selects, in the order of the payload; none where nothing is there.

    Raises SdJwtError where the path does not fit the structure, as the processing rules say.
    """
    check(path)
    selected: list[tuple[Location, Any]] = [((), claims)]
    for component in path:
        found: list[tuple[Location, Any]] = []
        for location, value in selected:
            if isinstance(component, str):
                if not isinstance(value, dict):
                    raise SdJwtError("claim path: names a member of a value that is not an object")
                if component in value:
                    found.append(((*location, component), value[component]))
                continue
            if not isinstance(value, list):
                raise SdJwtError("claim path: names an element of a value that is not an array")
            if component is None:
                found.extend(((*location, index), item) for index, item in enumerate(value))
            elif component < len(value):
                found.append(((*location, component), value[component]))
        selected = found
    return [location for location, _ in selected]
