"""The consent service as a data holder sees it: asked for every use, and believed in nothing."""

from collections.abc import Callable

from consent.caller.client import Client
from consent.errors import MessageError, PeerUnavailable
from consent.grant.use import Allow, Deny, VerifiedUseRequest, verify_use_answer
from consent.procedure.published import Published, address
from identity.clock import Clock
from identity.trust.registry import Party

MAX_ANSWER_BYTES = 262_144
"""A use answer holds a grant (with its request), a locator and a proof: each at most 64 KiB."""


class ConsentService:
    """``party`` gives its entry of the list now (``consent.procedure.published.listed``). Threads may share one."""

    def __init__(self, client: Client, party: Callable[[], Party], clock: Clock) -> None:
        self._client = client
        self._party = party
        self._clock = clock
        self.published = Published(client, party)

    def use(self, request: VerifiedUseRequest) -> Allow | Deny:
        """Its signed answer to this use request.

        Raises PeerUnavailable where there is none, MessageError where what it answers is not one.
        """
        party = self._party()
        answer = self._client.post_proven(
            f"{address(party)}/uses", {"use_request": request.compact}, max_bytes=MAX_ANSWER_BYTES
        )
        if answer.status not in (200, 403):
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        decided = verify_use_answer(
            answer.text(),
            consent_key=party.public_key,
            consent=party.id,
            request=request,
            now=int(self._clock()),
        )
        if isinstance(decided, Allow) != (answer.status == 200):
            raise MessageError("use answer: its status says another decision")
        return decided
