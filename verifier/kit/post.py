"""One signed request to a data holder's ``/data``, and what its refusals say."""

from consent import spec
from consent.caller import client as caller
from consent.caller.client import Client
from consent.errors import PeerUnavailable
from identity.trust.registry import Party, VerifiedRegistry
from verifier.kit.asking import HOLDER_ROLE
from verifier.kit.outcome import Refused

MAX_ANSWER_BYTES = 262_144
MAX_REASONS = 128
TRIES = 2
"""The same request again gets the same answer: a connection that broke loses no use."""

HOLDER_UNAVAILABLE = "holder_unavailable"
ANSWER_NOT_PROVEN = "answer_not_proven"


def data_holder(registry: VerifiedRegistry, holder: str, *, now: float) -> Party:
    """From the list and nowhere else. Raises TrustError, PeerUnavailable."""
    party = registry.party(holder, now=now)
    if HOLDER_ROLE not in party.roles or "data" not in party.endpoints:
        raise PeerUnavailable("registry: the data holder is not listed with an address for data")
    return party


def post(client: Client, holder: Party, compact: str) -> caller.Answer:
    """Raises PeerUnavailable."""
    for again in range(TRIES):
        try:
            return client.post(
                holder.endpoints["data"],
                compact.encode("ascii"),
                media_type=spec.MEDIA_JWT,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except PeerUnavailable:
            if again == TRIES - 1:
                raise
    raise PeerUnavailable("data holder: it was not asked")


def refused(grant_id: str, answer: caller.Answer) -> Refused:
    """The data holder's reasons; whatever it says, nothing was read."""
    try:
        value = answer.object()
    except PeerUnavailable as fault:
        return Refused(grant_id, (HOLDER_UNAVAILABLE,), str(fault))
    told = _told(value.get("reasons"))
    codes = [code for code, _ in told]
    if not codes and answer.error():
        codes = [answer.error()]
    description = value.get("error_description")
    return Refused(
        grant_id,
        tuple(dict.fromkeys(codes)) or (HOLDER_UNAVAILABLE,),
        description if isinstance(description, str) else f"the data holder answered {answer.status}",
        tuple((code, attribute) for code, attribute in told if attribute is not None),
    )


def _told(reasons: object) -> list[tuple[str, str | None]]:
    """Codes, each with the attribute that it is about; what is of another shape is left out."""
    if not isinstance(reasons, list):
        return []
    found: list[tuple[str, str | None]] = []
    for one in reasons[:MAX_REASONS]:
        code, attribute = (one.get("code"), one.get("attribute")) if isinstance(one, dict) else (None, None)
        if isinstance(code, str):
            found.append((code, attribute if isinstance(attribute, str) else None))
    return found
