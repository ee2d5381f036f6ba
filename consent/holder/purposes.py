"""What a service declared it may ask for (WIRE C13), held against what it asks a data holder to release."""

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail
from consent.procedure.declaration import DataDeclaration, PurposeDeclaration

_WHAT = "purpose"


def require_declared(detail: AuthorizationDetail, purpose: PurposeDeclaration, data: DataDeclaration) -> None:
    """Raises MessageError unless both declarations cover the request: "more than the procedure needs" is refused
    at run time as it was at registration (DESIGN §7).

    1. The service's: this procedure and purpose, no further attribute, this data holder.
    2. The data holder's: every attribute, for this purpose.
    """
    # 1
    if (purpose.procedure, purpose.purpose) != (detail.procedure, detail.purpose):
        raise MessageError(f"{_WHAT}: the request is for another procedure or purpose than its declaration")
    if not set(detail.datatypes) <= set(purpose.datatypes):
        raise MessageError(f"{_WHAT}: the request asks for more than its declaration")
    if data.iss not in purpose.holders:
        raise MessageError(f"{_WHAT}: the declaration does not name this data holder")
    # 2
    for name in detail.datatypes:
        if name not in data.attributes or detail.purpose not in data.attributes[name].purposes:
            raise MessageError(f"{_WHAT}: an attribute is not declared for this purpose")
