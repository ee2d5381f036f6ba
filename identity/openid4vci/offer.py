"""Credential offers (section 4.1), from the issuer's side: the object, and the two forms of the link."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from identity.codec import strict_json
from identity.openid4vci.spec import (
    AUTHORIZATION_CODE,
    CREDENTIAL_OFFER,
    CREDENTIAL_OFFER_URI,
    ISSUER_STATE,
    OFFER_SCHEME,
    PRE_AUTHORIZED,
    PRE_AUTHORIZED_CODE,
    TX_CODE,
)


def pre_authorized(
    issuer: str, configurations: Sequence[str], *, code: str, tx_code_length: int | None, tx_code_hint: str
) -> dict[str, Any]:
    """An offer that a wallet redeems by the code; with a length, also by digits on another way (section 4.1.1)."""
    grant: dict[str, Any] = {PRE_AUTHORIZED_CODE: code}
    if tx_code_length is not None:
        grant[TX_CODE] = {"input_mode": "numeric", "length": tx_code_length, "description": tx_code_hint[:300]}
    return _offer(issuer, configurations, {PRE_AUTHORIZED: grant})


def authorization_code(issuer: str, configurations: Sequence[str], *, issuer_state: str) -> dict[str, Any]:
    return _offer(issuer, configurations, {AUTHORIZATION_CODE: {ISSUER_STATE: issuer_state}})


def by_value(offer: dict[str, Any]) -> str:
    return _link(CREDENTIAL_OFFER, strict_json.compact(offer).decode("utf-8"))


def by_reference(url: str) -> str:
    return _link(CREDENTIAL_OFFER_URI, url)


def _offer(issuer: str, configurations: Sequence[str], grants: dict[str, Any]) -> dict[str, Any]:
    return {"credential_issuer": issuer, "credential_configuration_ids": list(configurations), "grants": grants}


def _link(name: str, value: str) -> str:
    return f"{OFFER_SCHEME}://?{urlencode({name: value})}"
