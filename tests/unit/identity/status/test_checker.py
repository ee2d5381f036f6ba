"""Copies of lists: fetched on a schedule, refused when stale, never asked for because of a presentation."""

import json
import threading

import pytest

from identity.envelope import jws
from identity.errors import CredentialRevoked, StatusUnavailable, TrustError
from identity.status.checker import (
    DEFAULT_TTL_SECONDS,
    MAX_TTL_SECONDS,
    MIN_TTL_SECONDS,
    RETRY_SECONDS,
    StatusChecker,
)
from identity.status.schedule import StatusSchedule
from identity.trust.chain import format_x5c
from identity.trust.registry import VerifiedRegistry
from tests.unit.identity.status.conftest import ONE, PREFIX, TWO, StatusCity, statuses
from tests.unit.identity.trust.conftest import ISS, NOW, Answers, Certified, Clock

CITY = StatusCity()


def ready(answers: Answers | None = None) -> tuple[StatusChecker, Answers, Clock]:
    answers, clock = answers or CITY.answers(), Clock()
    checker = CITY.checker(answers, clock)
    checker.refresh_due()
    return checker, answers, clock


def check(checker: StatusChecker, clock: Clock, index: int, uri: str = ONE) -> None:
    checker.check((uri, index), issuer=ISS, now=int(clock()))


def unavailable(reason: str, checker: StatusChecker, clock: Clock, index: int = 0, uri: str = ONE) -> None:
    with pytest.raises(StatusUnavailable, match=reason):
        check(checker, clock, index, uri)


def test_good_and_revoked() -> None:
    checker, answers, clock = ready()
    check(checker, clock, 4)
    check(checker, clock, 5, TWO)
    for index, uri in ((5, ONE), (6, TWO)):
        with pytest.raises(CredentialRevoked, match=r"town\.example/bcn has revoked"):
            check(checker, clock, index, uri)
    assert answers.asked == [PREFIX, ONE, TWO]


def test_credential_without_status() -> None:
    checker, _, _ = ready()
    checker.check(None, issuer=ISS, now=NOW)


def test_a_presentation_asks_nobody() -> None:
    checker, answers, clock = ready()
    del answers.asked[:]
    check(checker, clock, 4)
    for uri, index in ((ONE, 70), (f"{PREFIX}3", 4), ("https://prover.example/", 4)):
        unavailable("no copy|outside", checker, clock, index, uri)
    clock.now += 100
    unavailable("stale", checker, clock)
    assert answers.asked == []


def test_before_the_first_round_and_outside_the_list() -> None:
    clock = Clock()
    unavailable("no copy", CITY.checker(CITY.answers(), clock), clock)
    checker, _, clock = ready()
    unavailable("outside", checker, clock, 64)
    unavailable("no copy", checker, clock, 0, f"{PREFIX}3")


@pytest.mark.parametrize(("value", "kind"), [(2, CredentialRevoked), (3, StatusUnavailable)])
def test_other_status_types(value: int, kind: type[Exception]) -> None:
    answers = CITY.answers()
    answers.answers[ONE] = CITY.token(ONE, of=statuses(5, bits=2, value=value))
    checker, _, clock = ready(answers)
    check(checker, clock, 4)
    with pytest.raises(kind):
        check(checker, clock, 5)


def test_round_after_half_the_ttl_refusal_after_the_whole() -> None:
    checker, answers, clock = ready()
    assert checker.refresh_due() == 30 and len(answers.asked) == 3
    clock.now += 29
    assert checker.refresh_due() == 1 and len(answers.asked) == 3
    clock.now += 1
    answers.answers[ONE] = CITY.token(ONE, 4, iat=NOW + 30)
    assert checker.refresh_due() == 30 and len(answers.asked) == 6
    with pytest.raises(CredentialRevoked):
        check(checker, clock, 4)
    clock.now += 60
    check(checker, clock, 5)
    clock.now += 1
    unavailable("stale", checker, clock)


def test_outage_keeps_the_copy_until_its_ttl_ends() -> None:
    checker, answers, clock = ready()
    answers.answers = {}
    clock.now += 30
    assert checker.refresh_due() == RETRY_SECONDS
    clock.now += 30
    check(checker, clock, 4)
    clock.now += 1
    unavailable("stale", checker, clock)
    answers.answers = CITY.answers().answers
    checker.refresh_due()
    check(checker, clock, 4)


def test_one_bad_list_does_not_hold_up_the_others() -> None:
    answers = CITY.answers()
    answers.answers[ONE] = "x"
    checker, _, clock = ready(answers)
    unavailable("no copy", checker, clock)
    check(checker, clock, 4, TWO)
    assert checker.refresh_due() == RETRY_SECONDS


def test_older_list_is_not_taken_back() -> None:
    checker, answers, clock = ready()
    answers.answers[ONE] = CITY.token(ONE, iat=NOW - 1)
    clock.now += 30
    checker.refresh_due()
    with pytest.raises(CredentialRevoked):
        check(checker, clock, 5)
    clock.now += 61
    checker.refresh_due()
    unavailable("no copy|stale", checker, clock)


def test_expiry_is_checked_again_at_each_read() -> None:
    answers = CITY.answers()
    answers.answers[ONE] = CITY.token(ONE, exp=NOW + 10)
    checker, _, clock = ready(answers)
    clock.now += 9
    check(checker, clock, 4)
    clock.now += 1
    unavailable("expired", checker, clock)


def test_signer_is_checked_again_at_each_read() -> None:
    listed = [CITY.registry_list]
    answers, clock = CITY.answers(), Clock()
    checker = StatusChecker(lambda: listed[0], [CITY.root.der], answers, clock)
    checker.refresh_due()
    check(checker, clock, 4)
    listed[0] = CITY.verified(CITY.issuer_entry(**{"x5t#S256": [CITY.issuer.x5t]}))
    unavailable("not listed", checker, clock)


def test_stale_list_of_parties() -> None:
    registry = CITY.verified(CITY.issuer_entry(), exp=NOW + 5)
    answers, clock = CITY.answers(), Clock()
    checker = CITY.checker(answers, clock, listed=registry)
    checker.refresh_due()
    check(checker, clock, 4)
    clock.now += 5
    unavailable("expired", checker, clock)
    assert checker.refresh_due() == RETRY_SECONDS


def test_list_of_parties_that_cannot_be_read() -> None:
    def fails() -> VerifiedRegistry:
        raise TrustError("no list")

    assert StatusChecker(fails, [CITY.root.der], Answers(), Clock()).refresh_due() == RETRY_SECONDS


def test_signed_by_who_may_not() -> None:
    stranger = Certified("root", ca=True)
    for by in (CITY.verifier, Certified("status", by=CITY.ca), Certified("status", by=stranger)):
        answers = CITY.answers()
        answers.answers[ONE] = CITY.token(ONE, by=by)
        checker, _, clock = ready(answers)
        unavailable("no copy", checker, clock)


def test_list_of_another_address() -> None:
    answers = CITY.answers()
    answers.answers[ONE] = CITY.token(TWO)
    checker, _, clock = ready(answers)
    unavailable("no copy", checker, clock)


@pytest.mark.parametrize(
    ("ttl", "wait"),
    [(1, MIN_TTL_SECONDS / 2), (60, 30), (10**9, MAX_TTL_SECONDS / 2)],
)
def test_ttl_has_bounds(ttl: int, wait: float) -> None:
    answers = Answers({PREFIX: json.dumps({"status_lists": [ONE]}), ONE: CITY.token(ONE, ttl=ttl)})
    assert CITY.checker(answers, Clock()).refresh_due() == wait


def test_ttl_that_is_not_named() -> None:
    claims = jws.parse(CITY.token(ONE)).claims()
    del claims["ttl"]
    token = jws.sign(
        claims, CITY.status.signer, typ="statuslist+jwt", header={"x5c": format_x5c(CITY.chain(CITY.status))}
    )
    answers = Answers({PREFIX: json.dumps({"status_lists": [ONE]}), ONE: token})
    assert CITY.checker(answers, Clock()).refresh_due() == DEFAULT_TTL_SECONDS / 2


def test_aggregation_names_only_lists_under_its_own_prefix() -> None:
    answers = CITY.answers()
    named = ["https://victim.example/", f"{PREFIX}../x", PREFIX, f"{ONE}?x=1", ONE]
    answers.answers[PREFIX] = json.dumps({"status_lists": named})
    checker, _, clock = ready(answers)
    check(checker, clock, 4)
    assert answers.asked == [PREFIX, ONE]


@pytest.mark.parametrize(
    "aggregation",
    [
        "",
        "[]",
        "{}",
        json.dumps({"status_lists": "x"}),
        json.dumps({"status_lists": [1]}),
        json.dumps({"status_lists": [ONE, ONE]}),
        json.dumps({"status_lists": [f"{PREFIX}{n}" for n in range(257)]}),
        json.dumps({"status_lists": [f"{PREFIX}{'x' * 500}{n}" for n in range(200)]}),
    ],
)
def test_aggregation_refused(aggregation: str) -> None:
    answers = CITY.answers()
    answers.answers[PREFIX] = aggregation
    checker, _, clock = ready(answers)
    assert answers.asked == [PREFIX] and checker.refresh_due() == RETRY_SECONDS
    unavailable("no copy", checker, clock)


def test_prefix_without_slash_is_a_list() -> None:
    listed = CITY.verified(CITY.issuer_entry(status_prefixes=[ONE]))
    answers, clock = CITY.answers(), Clock()
    checker = CITY.checker(answers, clock, listed=listed)
    checker.refresh_due()
    check(checker, clock, 4)
    assert answers.asked == [ONE]


def test_list_that_is_no_longer_published_is_forgotten() -> None:
    checker, answers, clock = ready()
    answers.answers[PREFIX] = json.dumps({"status_lists": [TWO]})
    answers.answers[TWO] = CITY.token(TWO, iat=NOW + 61)
    clock.now += 61
    checker.refresh_due()
    unavailable("no copy", checker, clock)
    check(checker, clock, 4, TWO)


def test_prefix_that_is_no_longer_listed_is_not_asked() -> None:
    listed = [CITY.registry_list]
    answers, clock = CITY.answers(), Clock()
    checker = StatusChecker(lambda: listed[0], [CITY.root.der], answers, clock)
    checker.refresh_due()
    listed[0] = CITY.verified(version=4)
    clock.now += 30
    assert checker.refresh_due() == RETRY_SECONDS and len(answers.asked) == 3


def test_clock_set_back_does_not_silence_the_rounds() -> None:
    checker, answers, clock = ready()
    clock.now -= 86_400
    unavailable("stale", checker, clock)
    listed = len(answers.asked)
    checker.refresh_due()
    assert len(answers.asked) > listed


# The sandbox's admin request.


def when_needed(answers: Answers, prefixes: tuple[str, ...] = (PREFIX,)) -> StatusChecker:
    return StatusChecker(None, [CITY.root.der], answers, Clock(), when_needed=prefixes)


def test_named_prefix_is_fetched_at_each_check_under_the_anchor_that_stands_in() -> None:
    answers, clock = CITY.answers(), Clock()
    answers.answers[ONE] = CITY.token(ONE, by=Certified("unlisted", by=CITY.ca))
    checker = when_needed(answers)
    check(checker, clock, 5)
    answers.answers[ONE] = CITY.token(ONE, 5)
    with pytest.raises(CredentialRevoked):
        check(checker, clock, 5)
    assert answers.asked == [ONE, ONE]
    assert checker.refresh_due() == RETRY_SECONDS and answers.asked == [ONE, ONE]


def test_named_prefix_still_needs_path_and_address() -> None:
    answers, clock = CITY.answers(), Clock()
    stranger = Certified("root", ca=True)
    for token in (CITY.token(ONE, by=Certified("status", by=stranger)), CITY.token(TWO), "é", ""):
        answers.answers[ONE] = token
        unavailable("status list", when_needed(answers), clock)
    del answers.asked[:]
    unavailable("no copy", when_needed(answers, ("https://other.example/",)), clock)
    assert answers.asked == []
    del answers.answers[ONE]
    unavailable("cannot be reached", when_needed(answers), clock)


def test_only_one_thread_refreshes() -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(Answers):
        def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
            entered.set()
            assert release.wait(10)
            return super().get(url, accept=accept, max_bytes=max_bytes)

    answers = Slow(CITY.answers().answers)
    checker = CITY.checker(answers, Clock())
    thread = threading.Thread(target=checker.refresh_due)
    thread.start()
    assert entered.wait(10)
    assert checker.refresh_due() == RETRY_SECONDS
    release.set()
    thread.join(10)
    assert answers.asked == [PREFIX, ONE, TWO]


def test_schedule_runs_at_once_and_stops() -> None:
    done = threading.Event()

    class Told(Answers):
        def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
            if url == TWO:
                done.set()
            return super().get(url, accept=accept, max_bytes=max_bytes)

    schedule = StatusSchedule(CITY.checker(Told(CITY.answers().answers), Clock()))
    with schedule:
        assert done.wait(10)
    assert "status lists" not in [thread.name for thread in threading.enumerate()]
