"""Acceptance policies: values that compose, start at refused, and cannot leave out a verification step.

A policy says which steps it stands on; whoever registers a procedure whose policy lacks one is
refused then, not in the middle of a login. An empty policy refuses everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from identity.openid4vp.check import VerifiedPresentation
from identity.openid4vp.spec import ACCESS_DENIED
from identity.openid4vp.stated_purpose import StatedPurpose
from verifier.errors import PolicyIncomplete, ResponseRefused


class Step(StrEnum):
    """The steps of ``identity.openid4vp.check``, each of which a policy must stand on."""

    VP_TOKEN = "vp_token_form"  # noqa: S105  # a name, no secret
    ISSUER = "issuer_signature_path_and_registry"
    DISCLOSURES = "disclosures"
    VALIDITY = "validity"
    KEY_BINDING = "key_binding"
    QUERY = "type_claims_and_sets"
    STATUS = "status"


REQUIRED = frozenset(Step)


class Flow(StrEnum):
    """How the answer comes back to whoever asked."""

    SAME_DEVICE = "same_device"
    """By ``redirect_uri`` and response code, in the browser session that began it (HAIP 1.0 section 5.1)."""
    CROSS_DEVICE = "cross_device"
    """By a QR code; nothing shows that the two devices are one person's (OpenID4VP 1.0 section 14.2)."""
    DIRECT = "direct"
    """To a programme that asked, by the name of the request."""


class Level(StrEnum):
    """Assurance level of what comes out of a flow (Implementing Regulation (EU) 2015/1502)."""

    LOW = "low"
    SUBSTANTIAL = "substantial"


LEVELS = {
    # A QR code can be relayed to its victim; no code shown by the wallet is typed in here.
    Flow.CROSS_DEVICE: Level.LOW,
    # The credential was issued to an e-ID card, the wallet's key lies in software: not high.
    Flow.SAME_DEVICE: Level.SUBSTANTIAL,
    Flow.DIRECT: Level.SUBSTANTIAL,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a policy judges."""

    presentation: VerifiedPresentation
    flow: Flow


class Policy(Protocol):
    @property
    def steps(self) -> frozenset[Step]:
        """The verification steps without which this policy accepts nothing."""
        ...

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        """Why it refuses; empty = it accepts."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """Every step of ``check_presentation`` held: nothing else makes a ``VerifiedPresentation``."""

    @property
    def steps(self) -> frozenset[Step]:
        return REQUIRED

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        return () if isinstance(evidence.presentation, VerifiedPresentation) else ("not a verified presentation",)


@dataclass(frozen=True, slots=True)
class IssuedBy:
    """Every credential is of one of these issuers (their ``iss``)."""

    issuers: frozenset[str]

    @property
    def steps(self) -> frozenset[Step]:
        return frozenset()

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        found = {one.credential.iss for several in evidence.presentation.credentials.values() for one in several}
        return (
            () if found and found <= self.issuers else ("a credential is of another issuer than this procedure takes",)
        )


@dataclass(frozen=True, slots=True)
class LevelAtLeast:
    """The flow reaches this assurance level."""

    level: Level

    @property
    def steps(self) -> frozenset[Step]:
        return frozenset()

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        order = list(Level)
        reached = LEVELS[evidence.flow]
        if order.index(reached) >= order.index(self.level):
            return ()
        return (f"level {reached} was reached, {self.level} is needed",)


@dataclass(frozen=True, slots=True)
class AllOf:
    """All accept; none at all refuses."""

    policies: tuple[Policy, ...]

    @property
    def steps(self) -> frozenset[Step]:
        return frozenset().union(*(policy.steps for policy in self.policies))

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        if not self.policies:
            return ("the policy is empty",)
        return tuple(reason for policy in self.policies for reason in policy.reasons(evidence))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One accepts; none at all refuses. It stands only on the steps that every alternative stands on."""

    policies: tuple[Policy, ...]

    @property
    def steps(self) -> frozenset[Step]:
        if not self.policies:
            return frozenset()
        return frozenset(REQUIRED).intersection(*(policy.steps for policy in self.policies))

    def reasons(self, evidence: Evidence) -> tuple[str, ...]:
        refused: list[str] = ["the policy is empty"] if not self.policies else []
        for policy in self.policies:
            found = policy.reasons(evidence)
            if not found:
                return ()
            refused.extend(found)
        return tuple(refused)


@dataclass(frozen=True, slots=True)
class Procedure:
    """What is asked for under one name. Made by ``Procedures.register`` or refused."""

    id: str
    policy: Policy
    purpose: Mapping[str, str] = field(default_factory=dict)
    """Language → what it is for, in words for the person who is asked; empty = nothing is said."""

    @property
    def stated(self) -> StatedPurpose | None:
        return StatedPurpose(self.id, self.purpose) if self.purpose else None


class Procedures:
    """The procedures of one verifier."""

    def __init__(self, procedures: Sequence[Procedure] = ()) -> None:
        self._by_id: dict[str, Procedure] = {}
        for procedure in procedures:
            self.register(procedure)

    def register(self, procedure: Procedure) -> None:
        """Raises PolicyIncomplete."""
        if missing := sorted(REQUIRED - procedure.policy.steps):
            raise PolicyIncomplete(f"procedure {procedure.id}: its policy does not stand on {', '.join(missing)}")
        if procedure.id in self._by_id:
            raise PolicyIncomplete(f"procedure {procedure.id}: there is one of this name")
        self._by_id[procedure.id] = procedure

    def stated(self, procedure_id: str) -> StatedPurpose | None:
        """What a request of this procedure says that it is for."""
        procedure = self._by_id.get(procedure_id)
        return None if procedure is None else procedure.stated

    def require_accepted(self, procedure_id: str, evidence: Evidence) -> None:
        """Raises ResponseRefused with the reasons; a name that nobody registered refuses too."""
        procedure = self._by_id.get(procedure_id)
        reasons = ("the procedure is not known",) if procedure is None else procedure.policy.reasons(evidence)
        if reasons:
            raise ResponseRefused(ACCESS_DENIED, "; ".join(reasons))
