"""What a declaration must say before anybody may build on it (DESIGN §7): terms that somebody defined,
parties that are listed. Shape and signature were checked before.
"""

from collections.abc import Callable

from consent.errors import MessageError
from consent.procedure.declaration import DataDeclaration, Declaration, PurposeDeclaration
from consent.procedure.vocabulary import require_category, require_purpose


def check_declaration(declaration: Declaration, *, is_holder: Callable[[str], bool]) -> None:
    """Raises MessageError. ``is_holder``: whether the signed list has this party as a data holder today."""
    if isinstance(declaration, PurposeDeclaration):
        _check_purpose(declaration, is_holder)
    else:
        _check_data(declaration)


def _check_purpose(declaration: PurposeDeclaration, is_holder: Callable[[str], bool]) -> None:
    what = "purpose declaration"
    require_purpose(declaration.purpose, what=what)
    for holder in declaration.holders:
        if not is_holder(holder):
            raise MessageError(f"{what}: {holder} is not listed as a data holder")
    for text in declaration.notice.values():
        if not text.strip():
            raise MessageError(f"{what}: a notice says nothing")


def _check_data(declaration: DataDeclaration) -> None:
    what = "data declaration"
    for attribute in declaration.attributes.values():
        require_category(attribute.category, what=what)
        for purpose in attribute.purposes:
            require_purpose(purpose, what=what)
