"""The witnesses that a configuration names: in a trust policy (C2SP tlog-policy), or as k of n.

[witnesses]
policy = "policy"                     # file; or, for one group of k out of n:
keys = ["witness.example+…"]
threshold = 1
"""

from atorga.serve.settings import ConfigurationError, Table
from consent.errors import LogError
from consent.log.note import NoteKey
from consent.log.policy import MAX_POLICY_BYTES, Policy
from consent.log.quorum import Quorum


def read(table: Table) -> tuple[Quorum | None, Policy | None]:
    """The quorum, and the policy where there is one; ``quorum none`` asks for no witness. Raises ConfigurationError."""
    try:
        if "policy" in table:
            policy = _read_policy(table)
            return policy.quorum, policy
        keys = tuple(NoteKey.parse(vkey) for vkey in table.texts("keys"))
        return Quorum(keys, table.integer("threshold", minimum=1)), None
    except LogError as fault:
        raise ConfigurationError(f"[witnesses]: {fault}") from None


def _read_policy(table: Table) -> Policy:
    path = table.path("policy")
    try:
        with path.open("rb") as stream:
            return Policy.parse(stream.read(MAX_POLICY_BYTES + 1))
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror}") from None
