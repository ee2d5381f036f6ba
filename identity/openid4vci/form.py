"""Form bodies and queries of OAuth (RFC 6749 section 3.2 and appendix B), read strictly."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from identity.errors import ProtocolError
from identity.openid4vci.spec import INVALID_REQUEST

MAX_FORM_BYTES = 16_384
"""authorization_details for every credential type of a city take a tenth of it."""

MAX_PARAMETERS = 32


def parse(data: bytes, *, what: str) -> dict[str, str]:
    """The parameters that have a value; one without counts as left out (RFC 6749 section 3.2).

    Raises ProtocolError: a parameter twice, not UTF-8, not a form, too much of it.
    """
    if len(data) > MAX_FORM_BYTES:
        raise ProtocolError(INVALID_REQUEST, f"{what}: {len(data)} bytes, at most {MAX_FORM_BYTES} are read")
    if not data:
        return {}
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise ProtocolError(INVALID_REQUEST, f"{what}: not a form of at most {MAX_PARAMETERS} parameters") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ProtocolError(INVALID_REQUEST, f"{what}: a parameter is there twice")
    return {name: value for name, value in found.items() if value}


def required(form: Mapping[str, str], name: str, *, what: str, max_length: int = 2_048) -> str:
    value = optional(form, name, what=what, max_length=max_length)
    if value is None:
        raise ProtocolError(INVALID_REQUEST, f"{what}: parameter '{name}' is missing")
    return value


def optional(form: Mapping[str, str], name: str, *, what: str, max_length: int = 2_048) -> str | None:
    """Printable ASCII, as RFC 6749 appendix A has it for all we read; None where it is not there."""
    value = form.get(name)
    if value is None:
        return None
    if len(value) > max_length:
        raise ProtocolError(INVALID_REQUEST, f"{what}: '{name}' has more than {max_length} characters")
    if not all(" " <= character <= "~" for character in value):
        raise ProtocolError(INVALID_REQUEST, f"{what}: '{name}' must be printable ASCII")
    return value
