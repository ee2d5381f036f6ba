"""The consent service as a data holder sees it: asked for every use, and believed in nothing."""

from collections.abc import Callable
from pathlib import Path

from consent import spec
from consent.caller.client import Client
from consent.errors import MessageError, NothingReleased, PeerUnavailable
from consent.grant.notice import NoticeAllow, NoticeDeny, VerifiedBasisRequest, verify_notice_answer
from consent.grant.use import Allow, Deny, VerifiedUseRequest, verify_use_answer
from consent.holder.reply_codes import CONSENT_UNAVAILABLE
from consent.procedure.published import Published, address
from identity.clock import Clock
from identity.trust.registry import Party

MAX_ANSWER_BYTES = 262_144
"""A use answer holds a grant (with its request), a locator and a proof: each at most 64 KiB."""


class ConsentService:
    """``party`` gives its entry of the list now (``consent.procedure.published.listed``). Threads may share one."""

    def __init__(self, client: Client, party: Callable[[], Party], clock: Clock, *, kept: Path | None = None) -> None:
        """``kept``: a file for what it publishes, see ``Published``."""
        self._client = client
        self._party = party
        self._clock = clock
        self.published = Published(client, party, kept=kept)

    @property
    def party(self) -> str:
        """Its id. Raises PeerUnavailable."""
        return self._party().id

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

    def notice(
        self, request: VerifiedBasisRequest, mailboxes: tuple[str, ...], *, spooled: str | None = None
    ) -> NoticeAllow | NoticeDeny:
        """Its signed answer to a notice of access by law; ``spooled``: the statement about one that is released.

        Raises PeerUnavailable where it cannot be reached, or says that it is out of service: what is
        urgent need not wait for that. Raises MessageError where it will never take this notice, and
        NothingReleased where it answers anything else.
        """
        party = self._party()
        body = {"basis_request": request.compact, "mailboxes": list(mailboxes)}
        if spooled is not None:
            body["spooled"] = spooled
        answer = self._client.post_proven(f"{address(party)}/notices", body, max_bytes=MAX_ANSWER_BYTES)
        if answer.status >= 500:
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        if answer.status == 400:
            raise MessageError(f"notice: the consent service refuses it ({answer.error()})")
        if answer.status not in (200, 403) or answer.media_type != spec.MEDIA_JWT:
            raise NothingReleased(CONSENT_UNAVAILABLE, f"consent service: it answered {answer.status} to a notice")
        decided = verify_notice_answer(
            answer.text(),
            consent_key=party.public_key,
            consent=party.id,
            request=request,
            now=int(self._clock()),
        )
        if isinstance(decided, NoticeAllow) != (answer.status == 200):
            raise MessageError("notice answer: its status says another decision")
        return decided

    def state_root(self, statement: str) -> None:
        """A day's root. Raises PeerUnavailable where it was not taken now, MessageError where it never will be."""
        url = f"{address(self._party())}/journal-roots"
        answer = self._client.post(url, statement.encode("ascii"), media_type=spec.MEDIA_JWT)
        if answer.status in (400, 403, 409, 413, 415):
            raise MessageError(f"journal root: the consent service refuses it ({answer.error()})")
        if answer.status not in (200, 201):
            raise PeerUnavailable(f"consent service: it answered {answer.status} to a journal root")
