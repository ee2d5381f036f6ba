"""Nothing beyond what was declared: what a procedure needs, and what a data holder may release for it.

The same rules when a request is registered, when it is granted and when it is used (DESIGN §7).
"""

from collections.abc import Iterable

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail
from consent.procedure.declaration import DataDeclaration, PurposeDeclaration

_WHAT = "consent request"


def check_needed(detail: AuthorizationDetail, declared: PurposeDeclaration) -> None:
    """Raises MessageError where the service asks for more than it declared.

    1. The same procedure and purpose, and one that rests on consent.
    2. No attribute beyond those the procedure needs.
    3. A data holder that the procedure names.
    4. Kept no longer than declared.
    """
    # 1
    if (detail.procedure, detail.purpose) != (declared.procedure, declared.purpose):
        raise MessageError(f"{_WHAT}: another procedure or purpose than its declaration")
    if declared.legal_basis != "consent":
        raise MessageError(f"{_WHAT}: its declaration does not rest on consent")
    # 2
    if surplus := set(detail.datatypes) - set(declared.datatypes):
        raise MessageError(f"{_WHAT}: {len(surplus)} attribute(s) that the procedure does not need")
    # 3
    if detail.holder not in declared.holders:
        raise MessageError(f"{_WHAT}: a data holder that the procedure does not name")
    # 4
    if detail.data_life_seconds > declared.retention_seconds:
        raise MessageError(f"{_WHAT}: the data would be kept longer than declared")


def covering(detail: AuthorizationDetail, declarations: Iterable[DataDeclaration]) -> DataDeclaration:
    """The data holder's newest declaration that has all of this. Raises MessageError where there is none."""
    for declared in sorted(declarations, key=lambda one: -one.version):
        if declared.iss == detail.holder and _covers(declared, detail):
            return declared
    raise MessageError(f"{_WHAT}: the data holder has not declared these data for this purpose")


def _covers(declared: DataDeclaration, detail: AuthorizationDetail) -> bool:
    return all(
        name in declared.attributes
        and term.resolution in declared.attributes[name].resolutions
        and detail.purpose in declared.attributes[name].purposes
        for name, term in detail.terms.items()
    )
