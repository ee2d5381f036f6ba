"""The published numbers that an auditor keeps: strict, and never to mean somebody else."""

import pytest

from consent.errors import MessageError
from consent.ledger.findings import Invariant, Tally
from consent.ledger.numbers import PublishedNumbers, parse_numbers
from identity.codec import strict_json

PURPOSE = "https://w3id.org/dpv#ServiceProvision"


def published(*services: tuple[int, str], groups: tuple[int, ...] = ()) -> bytes:
    return strict_json.compact(
        {
            "services": [{"id": name, "number": number} for number, name in services],
            "purposes": [{"iri": PURPOSE, "number": 1}],
            "groups": [{"number": number, "services": [1], "purposes": [1]} for number in groups],
        }
    )


def found(numbers: PublishedNumbers, named: dict[tuple[bool, int, int], int]) -> list[tuple[str, int | None]]:
    tally = Tally()
    numbers.check(tally, named)
    assert tally.checked[Invariant.NUMBERS] >= len(named)
    return [(finding.code, finding.leaf_index) for finding in tally.findings]


def test_groups_have_a_number_space_of_their_own() -> None:
    numbers = parse_numbers(published((1, "a"), groups=(7,)))
    assert found(numbers, {(False, 1, 1): 0, (True, 7, 7): 1, (False, 0, 0): 2, (True, 7, 0): 3}) == []
    assert found(numbers, {(False, 7, 1): 4}) == [("number-not-published", 4)]
    assert found(numbers, {(True, 1, 1): 5}) == [("number-not-published", 5)]


def test_what_a_number_meant_first_is_remembered() -> None:
    first = parse_numbers(published((1, "a"), (2, "b")))
    second = parse_numbers(published((1, "x"), (3, "c")), first)
    assert found(second, {}) == [("number-renamed", None), ("number-renamed", None)]
    kept = second.remembering(first)
    assert kept.services == {1: "a", 2: "b", 3: "c"}
    assert parse_numbers(strict_json.compact(kept.to_json())).services == kept.services


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b'{"services":[]}', b'{"services":{},"purposes":[]}', b'{"services":[1],"purposes":[]}',
        b'{"services":[{"id":"a","number":0}],"purposes":[]}', b'{"services":[{"number":1}],"purposes":[]}',
        b'{"services":[{"id":"a","number":1},{"id":"b","number":1}],"purposes":[]}',
        b'{"services":[],"purposes":[],"more":1}',
    ],
)  # fmt: skip
def test_what_is_refused(content: bytes) -> None:
    with pytest.raises(MessageError):
        parse_numbers(content)
