"""Delivers feeds to services that have an address for them in the signed list (ADR 0009, D7).

Nobody waits for it: acts write rows, and this reads them in a thread of its own. Each target has a
turn of its own within it, so that one that is slow or dead keeps only itself waiting; it is asked
again with a growing pause, and what it missed it also gets by asking (``GET /feed``).

An address is asked only while the list names it. Redirects are not followed, and of an answer only
the status is read.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from threading import Event, Thread

import httpx

from consent import spec
from consent.ledger.feed import FeedStore
from consent.service.catalogue import Catalogue
from consent.service.feeding import Feeding
from consent.service.parties import Parties
from identity.errors import FetchError
from identity.fetch import require_permitted, tls_context
from identity.randomness import Random

LOOK_SECONDS = 0.2
"""How often is looked for what has happened."""

SIGN_SECONDS = 5.0
"""Between two signatures of a status list in which something changes all the time: packing one takes a third
of a second, and copies of it are believed for 10 s anyway."""

SEND_SECONDS = 10.0
"""For a whole delivery, however slowly its answer drips."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 3_600.0

_log = logging.getLogger("atorga.consent")


class FeedDelivery:
    def __init__(
        self,
        *,
        feeding: Feeding,
        store: FeedStore,
        catalogue: Catalogue,
        parties: Parties,
        leads: Callable[[], bool],
        random: Random,
        allow_loopback_http: bool,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        """``leads``: whether this process delivers; ``seconds`` between two looks."""
        self._feeding = feeding
        self._store = store
        self._catalogue = catalogue
        self._parties = parties
        self._leads = leads
        self._random = random
        self._allow_loopback_http = allow_loopback_http
        self._seconds = seconds
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Gives up deliveries in hand: they come again."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def pause(self, failures: int) -> float:
        """Before the next attempt: twice as long each time, and never two targets in step."""
        grown = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_SECONDS)
        return float(grown * (0.5 + int.from_bytes(self._random(4), "big") / 2**32))

    def _run(self) -> None:
        asyncio.run(self._deliver_all())

    async def _deliver_all(self) -> None:
        targets: dict[int, asyncio.Task[None]] = {}
        signed = float("-inf")
        async with httpx.AsyncClient(
            verify=tls_context(), timeout=SEND_SECONDS, follow_redirects=False, trust_env=False
        ) as client:
            try:
                while not await asyncio.to_thread(self._stopped.wait, self._seconds):
                    try:
                        leads, now = self._leads(), time.monotonic()
                        sign = now >= signed + SIGN_SECONDS
                        await asyncio.to_thread(self._feeding.round, leads, sign=sign)
                        signed = now if sign else signed
                        numbers = await asyncio.to_thread(self._targets) if leads else {}
                    except Exception as fault:  # noqa: BLE001  # the next look makes it good
                        _log.error("feed: a round failed (%s); trying again", type(fault).__name__)
                        continue
                    for number, party in numbers.items():
                        if number not in targets or targets[number].done():
                            targets[number] = asyncio.create_task(self._serve(client, number, party))
            finally:
                for task in targets.values():
                    task.cancel()
                await asyncio.gather(*targets.values(), return_exceptions=True)

    def _targets(self) -> dict[int, str]:
        """Services that have an address, by number."""
        return {
            number: party for party, number in self._catalogue.parties().items() if self._address(party) is not None
        }

    def _address(self, party: str) -> str | None:
        listed = self._parties.find(party)
        return None if listed is None else listed.endpoints.get("feed")

    async def _serve(self, client: httpx.AsyncClient, number: int, party: str) -> None:
        """Until it is not a target any more."""
        failures = 0
        while self._leads():
            try:
                taken = await self._send_next(client, number, party)
            except Exception as fault:  # noqa: BLE001  # whatever it is, it is this target's alone
                failures += 1
                # Not the address, and not what was sent.
                told = str(fault) if isinstance(fault, FetchError) else type(fault).__name__
                _log.warning("feed: %s did not take it (%s)", party, told)
                await asyncio.sleep(self.pause(failures))
                continue
            failures = 0
            if taken is None:
                return
            if not taken:
                await asyncio.sleep(self._seconds)

    async def _send_next(self, client: httpx.AsyncClient, number: int, party: str) -> bool | None:
        """Whether something was taken; False = there was nothing, None = it has no address any more."""
        delivered = await asyncio.to_thread(self._store.delivered, number)
        if not await asyncio.to_thread(self._store.items, number, after=delivered, at_most=1):
            return False
        address = await asyncio.to_thread(self._address, party)
        if address is None:
            return None
        require_permitted(address, allow_loopback_http=self._allow_loopback_http)
        body, last = await asyncio.to_thread(self._feeding.page, party, number, after=delivered)
        async with asyncio.timeout(SEND_SECONDS):
            async with client.stream(
                "POST", address, content=body.encode("ascii"), headers={"Content-Type": spec.MEDIA_JWT}
            ) as answer:
                status = answer.status_code
        if not 200 <= status < 300:
            raise FetchError(f"status {status}")
        await asyncio.to_thread(self._store.deliver, number, upto=last)
        return True
