"""The feed of a service (ADR 0009, D7): what happened to its grants, pushed to it, and asked for where it is missing.

Items are applied by their sequence, each once, in one transaction with the position; a gap is filled
by asking before anything behind it is applied. An ended grant is refused here from then on, and what
was read under it is due for deletion.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, insert, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent import spec
from consent.caller.client import Client
from consent.errors import ConsentError, MessageError, PeerUnavailable
from consent.grant.feed import Feed, FeedItem, verify_feed
from consent.procedure.published import address
from identity.clock import Clock
from identity.errors import IdentityError
from identity.trust.registry import Party
from verifier.http import BodyRefused, body_refused, fault_answer, json_answer, read_body
from verifier.kit.receipts import end
from verifier.kit.tables import feed_position, held_grant, told_state

MAX_FEED_BYTES = 131_072
"""256 items of about 300 bytes, signed."""

MAX_GRANT_BYTES = 131_072
"""A grant with its state: the JWS has at most 64 KiB."""

UNKNOWN_GRANT = "unknown_grant"

MAX_PAGES = 10_000
"""Of one backfill: two million items; a feed that never ends is none."""

LIVE = frozenset({"given", "paused"})


@dataclass(frozen=True, slots=True)
class ToldState:
    """What the feed said last of a grant."""

    grant_id: str
    state: str
    counter: int
    at: int
    status_uri: str
    status_index: int

    @property
    def is_over(self) -> bool:
        return self.state not in LIVE


class FeedGap(ConsentError):
    """Items are missing between what is known and what came."""


class FeedStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position(self) -> int:
        with self._engine.begin() as connection:
            return _position(connection)

    def apply(self, feed: Feed) -> int:
        """Takes what is new; how many items were. Raises FeedGap where some are missing before it."""
        with self._engine.begin() as connection:
            position = _position(connection)
            if feed.first > position + 1:
                raise FeedGap(f"feed: items {position + 1} to {feed.first - 1} are missing")
            fresh = [item for item in feed.items if item.sequence > position]
            for item in fresh:
                _take(connection, item)
            if fresh:
                connection.execute(delete(feed_position))
                connection.execute(insert(feed_position).values(id=1, sequence=fresh[-1].sequence))
            return len(fresh)

    def skip_to(self, sequence: int) -> None:
        """What stands before is no longer to be had."""
        with self._engine.begin() as connection:
            connection.execute(delete(feed_position))
            connection.execute(insert(feed_position).values(id=1, sequence=sequence))

    def held(self) -> list[str]:
        with self._engine.begin() as connection:
            return list(connection.execute(select(held_grant.c.grant_id).order_by(held_grant.c.grant_id)).scalars())

    def end(self, grant_id: str, at: int) -> None:
        """A grant that was found to have ended, whenever that was."""
        with self._engine.begin() as connection:
            end(connection, grant_id, at)
            connection.execute(delete(held_grant).where(held_grant.c.grant_id == grant_id))

    def state(self, grant_id: str) -> ToldState | None:
        with self._engine.begin() as connection:
            row = connection.execute(select(told_state).where(told_state.c.grant_id == grant_id)).first()
        if row is None:
            return None
        return ToldState(row.grant_id, row.state, row.counter, row.at, row.status_uri, row.status_index)


class FeedReceiver:
    """Threads may share one."""

    def __init__(
        self, party: str, *, consent: Callable[[], Party], client: Client, store: FeedStore, clock: Clock
    ) -> None:
        self._party = party
        self._consent = consent
        self._client = client
        self._store = store
        self._clock = clock

    def take(self, compact: str) -> int:
        """A pushed feed. Raises MessageError where it is none, PeerUnavailable where a gap cannot be filled now."""
        feed = self._verified(compact)
        try:
            return self._store.apply(feed)
        except FeedGap:
            return self.catch_up()

    def catch_up(self) -> int:
        """Asks for all that is not known yet; how many items there were. Raises PeerUnavailable, MessageError."""
        taken = 0
        for _ in range(MAX_PAGES):
            position = self._store.position()
            url = f"{address(self._consent())}/feed?after={position}"
            answer = self._client.get_proven(url, max_bytes=MAX_FEED_BYTES)
            if answer.status != 200:
                raise PeerUnavailable(f"consent service: it answered {answer.status} for its feed")
            feed = self._verified(answer.text())
            try:
                fresh = self._store.apply(feed)
            except FeedGap:
                # The consent service no longer keeps what is missing: each grant held here is looked at instead.
                self._look_at_all()
                self._store.skip_to(feed.first - 1)
                fresh = self._store.apply(feed)
            if not fresh:
                return taken
            taken += fresh
        raise MessageError("feed: it does not end")

    def _look_at_all(self) -> None:
        """Ends what has ended meanwhile. Raises PeerUnavailable before anything is skipped."""
        base = address(self._consent())
        for grant_id in self._store.held():
            answer = self._client.get_proven(f"{base}/grants/{grant_id}", max_bytes=MAX_GRANT_BYTES)
            is_unknown = answer.status == 404 and answer.error() == UNKNOWN_GRANT
            if answer.status != 200 and not is_unknown:
                raise PeerUnavailable(f"consent service: it answered {answer.status} about a grant")
            if is_unknown or answer.object().get("state") not in LIVE:
                self._store.end(grant_id, int(self._clock()))

    def _verified(self, compact: str) -> Feed:
        consent = self._consent()
        return verify_feed(compact, consent_key=consent.public_key, consent=consent.id, service=self._party)

    def route(self, path: str) -> Route:
        """``POST``, at the address that the signed list names as this service's ``feed``."""

        async def endpoint(request: Request) -> Response:
            try:
                body = await read_body(request, media_type=spec.MEDIA_JWT, max_bytes=MAX_FEED_BYTES)
                await run_in_threadpool(self.take, body.decode("ascii", errors="replace"))
            except BodyRefused as fault:
                return body_refused(fault)
            except MessageError as fault:
                return fault_answer(400, spec.INVALID_REQUEST, str(fault))
            except (ConsentError, IdentityError) as fault:
                # Not taken: it comes again.
                return fault_answer(503, "temporarily_unavailable", str(fault))
            return json_answer({"state": "taken"})

        return Route(path, endpoint, methods=["POST"])


def _position(connection: Connection) -> int:
    return int(connection.execute(select(feed_position.c.sequence)).scalar() or 0)


def _take(connection: Connection, item: FeedItem) -> None:
    connection.execute(delete(told_state).where(told_state.c.grant_id == item.grant_id))
    connection.execute(
        insert(told_state).values(
            grant_id=item.grant_id,
            sequence=item.sequence,
            state=item.state,
            counter=item.counter,
            at=item.at,
            status_uri=item.status_uri,
            status_index=item.status_index,
        )
    )
    if item.state not in LIVE:
        end(connection, item.grant_id, item.at)
        connection.execute(delete(held_grant).where(held_grant.c.grant_id == item.grant_id))
