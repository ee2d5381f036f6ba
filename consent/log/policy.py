"""Trust policies as files (C2SP tlog-policy): which logs, which witnesses, and how many of whom make a quorum.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>…
    quorum <name>|none

Line by line, items apart by spaces and tabs, ``#`` begins a comment line. Names are opaque octets and
mean nothing outside of the file; a name is defined before it is used, and is a member at most once.
Refused beyond the specification: witnesses of other kinds than cosignature/v1, a checkpoint log that
is none, two witnesses under one key name (their cosignatures could not be told apart).
"""

import re
from dataclasses import dataclass, field

from consent.errors import LogError
from consent.log import note
from consent.log.note import NoteKey
from consent.log.quorum import Quorum, Rule

MAX_POLICY_BYTES = 65_536
MAX_EACH = 64
"""Logs, witnesses and groups: the specification asks for 32 of each."""

NONE = "none"
_ALL, _ANY = "all", "any"

_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PolicyLog:
    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """``name`` is the file's; cosignatures bear the key's own."""

    name: str
    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """``quorum_name`` is that of a witness or group, or None: no cosignature is asked for, nothing is witnessed."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum_name: str | None

    @classmethod
    def parse(cls, content: bytes) -> "Policy":
        """Raises LogError, naming the line."""
        if len(content) > MAX_POLICY_BYTES:
            raise LogError(f"policy: more than {MAX_POLICY_BYTES} bytes")
        if _FORBIDDEN.search(content):
            raise LogError("policy: a control character")
        if content and not content.endswith(b"\n"):
            raise LogError("policy: its last line does not end")
        reader = _Reader()
        # Octets beyond ASCII are opaque, and come out as they went in.
        for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            items = line.replace("\t", " ").split(" ")
            try:
                reader.take([item for item in items if item])
            except LogError as fault:
                raise LogError(f"policy, line {number}: {fault}") from None
        return reader.policy()

    def format(self) -> bytes:
        lines = [_line("log", one.key.format(), one.url) for one in self.logs]
        lines += [_line("witness", one.name, one.key.format(), one.url) for one in self.witnesses]
        lines += [_line("group", one.name, str(one.threshold), *one.members) for one in self.groups]
        lines.append(_line("quorum", self.quorum_name or NONE))
        return "".join(lines).encode("utf-8", "surrogateescape")

    @property
    def quorum(self) -> Quorum | None:
        """None = "not witnessed". Only the witnesses that it counts are in it."""
        if self.quorum_name is None:
            return None
        keys = {one.name: one.key for one in self.witnesses}
        groups = {one.name: one for one in self.groups}

        def rule_of(name: str) -> "str | Rule":
            if name in keys:
                return keys[name].name
            group = groups[name]
            return Rule(group.threshold, tuple(map(rule_of, group.members)))

        found = rule_of(self.quorum_name)
        rule = found if isinstance(found, Rule) else Rule(1, (found,))
        counted = set(rule.names())
        return Quorum(tuple(key for key in keys.values() if key.name in counted), rule.fewest, rule)

    def url_of(self, key: NoteKey) -> str | None:
        """Where this witness is to be asked."""
        return next((one.url for one in self.witnesses if one.key == key), None)


@dataclass(slots=True)
class _Reader:
    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[PolicyWitness] = field(default_factory=list)
    groups: list[PolicyGroup] = field(default_factory=list)
    members: set[str] = field(default_factory=set)
    quorum: list[str] = field(default_factory=list)

    def take(self, items: list[str]) -> None:
        match items:
            case []:
                return
            case [first, *_] if first.startswith("#"):
                return
            case ["log", vkey, *url] if len(url) <= 1:
                self._log(vkey, *url)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._witness(name, vkey, *url)
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise LogError("expected log, witness, group or quorum with what belongs to it")

    def policy(self) -> Policy:
        if not self.quorum:
            raise LogError("policy: it has no quorum line")
        name = None if self.quorum[0] == NONE else self.quorum[0]
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), name)

    def _log(self, vkey: str, url: str | None = None) -> None:
        key = NoteKey.parse(vkey)
        if key.key_type != note.ED25519:
            raise LogError("a log's key is of type 0x01")
        _require_room(self.logs)
        if any(one.key.public == key.public for one in self.logs):
            raise LogError("a log stands twice")
        self.logs.append(PolicyLog(key, url))

    def _witness(self, name: str, vkey: str, url: str | None = None) -> None:
        key = NoteKey.parse(vkey)
        if key.key_type != note.COSIGNATURE_V1:
            raise LogError("a witness's key is of type 0x04")
        self._require_new(name)
        _require_room(self.witnesses)
        if any(one.key.public == key.public or one.key.name == key.name for one in self.witnesses):
            raise LogError("a witness stands twice")
        self.witnesses.append(PolicyWitness(name, key, url))

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._require_new(name)
        _require_room(self.groups)
        for member in members:
            self._require_known(member)
            if member in self.members:
                raise LogError(f"{_shown(member)} is a member twice")
            self.members.add(member)
        if threshold not in (_ALL, _ANY) and not _THRESHOLD.fullmatch(threshold):
            raise LogError("a group asks for all, any or a number of its members")
        wanted = {_ALL: len(members), _ANY: 1}.get(threshold) or int(threshold)
        if wanted > len(members):
            raise LogError(f"{wanted} of {len(members)} members")
        self.groups.append(PolicyGroup(name, wanted, tuple(members)))

    def _quorum(self, name: str) -> None:
        if self.quorum:
            raise LogError("a second quorum")
        if name != NONE:
            self._require_known(name)
        self.quorum.append(name)

    def _names(self) -> set[str]:
        return {one.name for one in self.witnesses} | {one.name for one in self.groups}

    def _require_new(self, name: str) -> None:
        if name == NONE or name in self._names():
            raise LogError(f"the name {_shown(name)} is taken")

    def _require_known(self, name: str) -> None:
        if name not in self._names():
            raise LogError(f"{_shown(name)} was not defined before")


def _require_room(found: "list[PolicyLog] | list[PolicyWitness] | list[PolicyGroup]") -> None:
    if len(found) >= MAX_EACH:
        raise LogError(f"more than {MAX_EACH} of a kind")


def _line(*items: str | None) -> str:
    return " ".join(item for item in items if item is not None) + "\n"


def _shown(name: str) -> str:
    return ascii(name[:64])
