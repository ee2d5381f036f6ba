"""Trust policies: what a file may say (C2SP tlog-policy), and what is enough."""

from pathlib import Path

import pytest

from consent.errors import LogError
from consent.log import note
from consent.log.checkpoint import Checkpoint
from consent.log.merkle import EMPTY_ROOT
from consent.log.note import COSIGNATURE_V1, ED25519, NoteKey
from consent.log.policy import MAX_EACH, MAX_POLICY_BYTES, Policy
from consent.log.quorum import Quorum, Rule
from identity.keys.ed25519 import Ed25519Signer


def signer(number: int) -> Ed25519Signer:
    return Ed25519Signer(bytes([number]) * 32)


def witness(number: int, name: str | None = None) -> NoteKey:
    return NoteKey(name or f"w{number}.example", COSIGNATURE_V1, signer(number).public)


LOG = NoteKey("log.example/log/2026", ED25519, signer(99).public)
X = [f"witness X{n} {witness(n).format()}\n" for n in (1, 2, 3)]
Y = [f"witness Y{n} {witness(n + 3).format()}\n" for n in (1, 2, 3)]
EXAMPLE = (
    f"log {LOG.format()}\n\n{''.join(X)}group X-witnesses 2 X1 X2 X3\n\n# the other body\n{''.join(Y)}"
    "group\tY-witnesses any  Y1 Y2 Y3 \n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


def parse(text: str) -> Policy:
    return Policy.parse(text.encode("utf-8", "surrogateescape"))


def quorum(text: str) -> Quorum:
    found = parse(text).quorum
    assert found is not None
    return found


def test_the_example_of_the_specification() -> None:
    policy = parse(EXAMPLE)
    assert [one.key for one in policy.logs] == [LOG]
    found = policy.quorum
    assert found is not None and (len(found.witnesses), found.threshold) == (6, 3)
    for enough in ((1, 2, 4), (1, 3, 5), (2, 3, 6), (1, 2, 3, 4, 5, 6)):
        assert found.met_by({f"w{n}.example" for n in enough})
    for few in ((), (1, 2), (1, 2, 3), (1, 4), (4, 5, 6), (3, 4, 5, 6)):
        assert not found.met_by({f"w{n}.example" for n in few})


def test_what_is_written_is_what_was_read() -> None:
    policy = parse(EXAMPLE)
    assert Policy.parse(policy.format()) == policy
    with_urls = parse(f"log {LOG.format()} https://log.example\nwitness a {witness(1).format()} https://w\nquorum a\n")
    assert Policy.parse(with_urls.format()) == with_urls
    assert with_urls.url_of(witness(1)) == "https://w" and with_urls.url_of(witness(2)) is None
    opaque = b"witness \xff\xe2 " + witness(1).format().encode() + b" https://w\xff/\nquorum \xff\xe2\n"
    assert Policy.parse(opaque).format() == opaque


def test_signatures_are_what_counts() -> None:
    text = Checkpoint(LOG.name, 0, EMPTY_ROOT).format()
    cosigned = tuple(
        note.cosign(text, witness(n).name, signer(n).public, signer(n), now=1_700_000_000) for n in (1, 2, 4)
    )
    assert quorum(EXAMPLE).met(note.UnverifiedNote(text, cosigned))
    assert not quorum(EXAMPLE).met(note.UnverifiedNote(text, cosigned[:2]))


def test_a_quorum_of_one_and_none() -> None:
    one = quorum(f"{X[0]}quorum X1\n")
    assert (one.threshold, one.met_by(["w1.example"]), one.met_by(["w2.example"])) == (1, True, False)
    assert parse("quorum none\n").quorum is None
    # Who is listed and does not count is not asked to be trusted.
    assert quorum("".join(X) + "quorum X2\n").witnesses == (witness(2),)


def test_a_log_s_own_witnesses_alone_say_nothing() -> None:
    own = {"w4.example", "w5.example", "w6.example"}
    foreign = {"w1.example", "w2.example", "w3.example"}
    assert quorum(EXAMPLE).needs_one_of(foreign) and quorum(EXAMPLE).needs_one_of(own)
    either = "".join(X + Y) + "group E any X1 Y1\nquorum E\n"
    assert not quorum(either).needs_one_of(foreign)
    assert not Quorum((witness(1), witness(2)), 1).needs_one_of({"w1.example"})
    assert Quorum((witness(1), witness(2)), 2).needs_one_of({"w1.example"})


W1 = witness(1).format()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no quorum line"),
        (f"log {LOG.format()}\n", "no quorum line"),
        ("quorum none", "does not end"),
        ("quorum none\nquorum none\n", "line 2: a second quorum"),
        ("quorum a\n", "line 1: 'a' was not defined before"),
        ("quorum\n", "expected log, witness"),
        ("quorum none none\n", "expected log, witness"),
        ("Quorum none\n", "expected log, witness"),
        ("threshold 2\nquorum none\n", "expected log, witness"),
        (f"log {LOG.format()} u u\nquorum none\n", "expected log, witness"),
        (f"log {LOG.format()}\nlog {LOG.renamed('other').format()}\nquorum none\n", "a log stands twice"),
        (f"log {W1}\nquorum none\n", "type 0x01"),
        ("log x\nquorum none\n", "verifier key"),
        (f"witness a {LOG.format()}\nquorum a\n", "type 0x04"),
        (f"witness a {W1}\nwitness b {witness(1, 'else').format()}\nquorum a\n", "a witness stands twice"),
        (f"witness a {W1}\nwitness b {witness(2, 'w1.example').format()}\nquorum a\n", "a witness stands twice"),
        (f"witness a {W1}\nwitness a {witness(2).format()}\nquorum a\n", "the name 'a' is taken"),
        (f"witness none {W1}\nquorum none\n", "the name 'none' is taken"),
        (f"{X[0]}group X1 any X1\nquorum X1\n", "the name 'X1' is taken"),
        (f"{X[0]}group none any X1\nquorum none\n", "the name 'none' is taken"),
        (f"{X[0]}group g any g\nquorum g\n", "'g' was not defined before"),
        (f"{X[0]}group g any none\nquorum g\n", "'none' was not defined before"),
        (f"group g any X1\n{X[0]}quorum g\n", "line 1: 'X1' was not defined before"),
        (f"{X[0]}group g any X1 X1\nquorum g\n", "'X1' is a member twice"),
        (f"{X[0]}{X[1]}group g any X1 X2\ngroup h any X1\nquorum g\n", "'X1' is a member twice"),
        (f"{X[0]}group g 2 X1\nquorum g\n", "2 of 1 members"),
        (f"{X[0]}group g 0 X1\nquorum g\n", "all, any or a number"),
        (f"{X[0]}group g 01 X1\nquorum g\n", "all, any or a number"),
        (f"{X[0]}group g +1 X1\nquorum g\n", "all, any or a number"),
        (f"{X[0]}group g any\nquorum g\n", "expected log, witness"),
        ("quorum none\r\n", "control character"),
        ("quorum\x00 none\n", "control character"),
        ("#" * MAX_POLICY_BYTES + "\n", "more than"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(LogError, match=said):
        parse(text)


def test_more_than_the_specification_asks_for_and_not_everything() -> None:
    def of(count: int) -> str:
        keys = [NoteKey(f"w{n}", COSIGNATURE_V1, n.to_bytes(32, "big")) for n in range(count)]
        lines = [f"witness {key.name} {key.format()}\n" for key in keys]
        return "".join(lines) + "quorum w0\n"

    assert len(parse(of(MAX_EACH)).witnesses) == MAX_EACH >= 32
    with pytest.raises(LogError, match="more than 64 of a kind"):
        parse(of(MAX_EACH + 1))


def test_a_rule_that_says_nothing_cannot_be_made() -> None:
    for threshold, members in ((0, ("a",)), (2, ("a",)), (1, ())):
        with pytest.raises(LogError):
            Rule(threshold, members)


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "policy").write_bytes(parse(EXAMPLE).format())
    assert Policy.parse((tmp_path / "policy").read_bytes()) == parse(EXAMPLE)
