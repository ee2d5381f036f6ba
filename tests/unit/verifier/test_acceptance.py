"""Policies compose, start at refused, and cannot leave out a verification step."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from identity.openid4vp.check import PresentedCredential, VerifiedPresentation
from verifier.acceptance import (
    REQUIRED,
    AllOf,
    AnyOf,
    Checked,
    Evidence,
    Flow,
    IssuedBy,
    Level,
    LevelAtLeast,
    Policy,
    Procedure,
    Procedures,
    Step,
)
from verifier.errors import PolicyIncomplete, ResponseRefused


def evidence(*issuers: str, flow: Flow = Flow.DIRECT) -> Evidence:
    credentials = tuple(
        PresentedCredential(cast(Any, SimpleNamespace(iss=issuer)), "urn:x", {}, ()) for issuer in issuers
    )
    return Evidence(VerifiedPresentation({"q": credentials} if credentials else {}), flow)


GOOD = evidence("https://a")


def test_what_was_checked_is_accepted() -> None:
    assert Checked().reasons(GOOD) == ()
    assert Checked().steps == REQUIRED == frozenset(Step)


def test_what_was_not_checked_is_refused() -> None:
    unverified = Evidence(cast(Any, {"q": []}), Flow.DIRECT)
    assert Checked().reasons(unverified)


def test_empty_policies_refuse() -> None:
    assert AllOf(()).reasons(GOOD) == ("the policy is empty",)
    assert AnyOf(()).reasons(GOOD) == ("the policy is empty",)
    assert AllOf((Checked(), AllOf(()))).reasons(GOOD)


def test_all_of_gathers_reasons_and_any_of_needs_one() -> None:
    one, other = IssuedBy(frozenset({"https://b"})), LevelAtLeast(Level.SUBSTANTIAL)
    crossed = evidence("https://a", flow=Flow.CROSS_DEVICE)
    assert len(AllOf((Checked(), one, other)).reasons(crossed)) == 2
    assert AnyOf((one, Checked())).reasons(crossed) == ()
    assert len(AnyOf((one, other)).reasons(crossed)) == 2


def test_issuers() -> None:
    policy = IssuedBy(frozenset({"https://a"}))
    assert policy.reasons(GOOD) == ()
    assert policy.reasons(evidence("https://a", "https://b"))
    assert policy.reasons(evidence())


@pytest.mark.parametrize(
    ("flow", "level", "accepted"),
    [
        (Flow.CROSS_DEVICE, Level.LOW, True),
        (Flow.CROSS_DEVICE, Level.SUBSTANTIAL, False),
        (Flow.SAME_DEVICE, Level.SUBSTANTIAL, True),
        (Flow.DIRECT, Level.SUBSTANTIAL, True),
    ],
)
def test_levels(flow: Flow, level: Level, accepted: bool) -> None:
    assert (LevelAtLeast(level).reasons(evidence("https://a", flow=flow)) == ()) == accepted


@pytest.mark.parametrize(
    "policy",
    [
        AllOf(()),
        AnyOf(()),
        IssuedBy(frozenset({"https://a"})),
        AllOf((IssuedBy(frozenset({"https://a"})), LevelAtLeast(Level.LOW))),
        AnyOf((Checked(), IssuedBy(frozenset({"https://a"})))),
        AllOf((AnyOf((Checked(), LevelAtLeast(Level.LOW))),)),
    ],
    ids=repr,
)
def test_a_policy_without_every_step_cannot_be_registered(policy: Policy) -> None:
    """DECODE's D1: the step that verifies the proof was split off, and forgotten."""
    with pytest.raises(PolicyIncomplete, match="does not stand on"):
        Procedures([Procedure("x", policy)])


@pytest.mark.parametrize("missing", Step)
def test_each_step_is_missed(missing: Step) -> None:
    class Partial:
        steps = REQUIRED - {missing}

        def reasons(self, _: Evidence) -> tuple[str, ...]:
            return ()

    with pytest.raises(PolicyIncomplete, match=missing.value):
        Procedures([Procedure("x", cast(Policy, Partial()))])


def test_registered_policies_decide() -> None:
    policy = AllOf((Checked(), IssuedBy(frozenset({"https://a"}))))
    procedures = Procedures([Procedure("x", policy)])
    procedures.require_accepted("x", GOOD)
    with pytest.raises(ResponseRefused, match="another issuer") as caught:
        procedures.require_accepted("x", evidence("https://b"))
    assert caught.value.code == "access_denied"


def test_a_procedure_that_nobody_registered_refuses() -> None:
    with pytest.raises(ResponseRefused, match="not known"):
        Procedures().require_accepted("x", GOOD)


def test_two_procedures_of_one_name() -> None:
    with pytest.raises(PolicyIncomplete, match="of this name"):
        Procedures([Procedure("x", Checked()), Procedure("x", Checked())])
