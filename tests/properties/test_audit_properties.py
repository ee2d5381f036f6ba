"""Honest histories pass the audit whatever happens in them; one wrong leaf in them does not."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consent.ledger.findings import Tally
from consent.ledger.leaf import COUNTED, DAY_ONLY, GROUPED, Kind, Leaf
from consent.ledger.replay import ENDINGS, Replay
from tests.consent_history import START_MINUTE, History, random_history

NOW = (START_MINUTE + 10 * 366 * 24 * 60) * 60
FUTURE_DAY = (NOW // 86_400 + 2) * 1_440

seeds = st.integers(0, 2**32)
lengths = st.integers(1, 120)


def replay(leaves: list[Leaf]) -> Tally:
    tally = Tally()
    taking = Replay(tally, now=NOW)
    for index, leaf in enumerate(leaves):
        taking.take(index, leaf.to_bytes())
    return tally


@given(seeds, lengths)
@settings(max_examples=200, deadline=None)
def test_honest_histories_pass(seed: int, length: int) -> None:
    assert replay(random_history(seed, length).leaves).findings == []


def is_counted(leaf: Leaf) -> bool:
    return leaf.kind in COUNTED


def is_use(leaf: Leaf) -> bool:
    return leaf.kind is Kind.USE


def is_amend(leaf: Leaf) -> bool:
    return leaf.kind is Kind.AMEND


def later_of_a_grant(leaf: Leaf) -> bool:
    return leaf.kind in COUNTED | {Kind.DENY} and leaf.kind is not Kind.GRANT


Mutation = tuple[Callable[[Leaf], bool], Callable[[Leaf, Random], Leaf]]

MUTATIONS: dict[str, Mutation] = {
    "a counter": (lambda _: True, lambda leaf, r: replace(leaf, counter=leaf.counter + r.choice((1, 2, 1_000)))),
    "another service": (later_of_a_grant, lambda leaf, r: replace(leaf, service=leaf.service + r.randint(1, 9))),
    "another purpose": (later_of_a_grant, lambda leaf, r: replace(leaf, purpose=leaf.purpose + r.randint(1, 9))),
    "other parties' flag": (later_of_a_grant, lambda leaf, _: replace(leaf, flags=leaf.flags ^ GROUPED)),
    "another grant": (later_of_a_grant, lambda leaf, r: replace(leaf, id=r.randbytes(16))),
    "nobody's attribute": (is_use, lambda leaf, _: replace(leaf, mask=leaf.mask | 1 << 40)),
    "no attribute": (is_use, lambda leaf, _: replace(leaf, mask=0)),
    "one attribute more": (is_amend, lambda leaf, _: replace(leaf, mask=leaf.mask | 1 << 40)),
    "a later end": (is_amend, lambda leaf, r: replace(leaf, end_day=leaf.end_day + r.randint(40, 99))),
    "a minute of long ago": (lambda _: True, lambda leaf, r: replace(leaf, minute=leaf.minute % 1440)),
    "a minute that has not come": (
        lambda _: True,
        lambda leaf, _: replace(leaf, minute=FUTURE_DAY),
    ),
    "an end day": (lambda leaf: leaf.kind not in (Kind.GRANT, Kind.AMEND), lambda leaf, _: replace(leaf, end_day=1)),
    "max uses": (lambda leaf: leaf.kind not in (Kind.GRANT, Kind.AMEND), lambda leaf, _: replace(leaf, max_uses=1)),
    "a mask": (
        lambda leaf: leaf.kind not in (Kind.GRANT, Kind.AMEND, Kind.USE),
        lambda leaf, _: replace(leaf, mask=1),
    ),
    "a day's middle": (lambda leaf: bool(leaf.flags & DAY_ONLY), lambda leaf, _: replace(leaf, minute=leaf.minute + 1)),
}


@given(seeds, st.integers(5, 80), st.sampled_from(sorted(MUTATIONS)), st.data())
@settings(max_examples=400, deadline=None)
def test_one_wrong_leaf_is_found(seed: int, length: int, name: str, data: st.DataObject) -> None:
    leaves = random_history(seed, length).leaves
    applies, mutate = MUTATIONS[name]
    fitting = [index for index, leaf in enumerate(leaves) if applies(leaf)]
    assume(fitting and not (name == "a minute of long ago" and fitting == [0]))
    index = data.draw(st.sampled_from(fitting[1:] if name == "a minute of long ago" and fitting[0] == 0 else fitting))
    leaves[index] = mutate(leaves[index], Random(seed))
    found = replay(leaves).findings
    assert found and found[0].leaf_index == index


@given(seeds, st.integers(5, 80), st.data())
@settings(max_examples=200, deadline=None)
def test_a_dropped_leaf_of_a_living_grant_is_missed(seed: int, length: int, data: st.DataObject) -> None:
    leaves = random_history(seed, length).leaves
    last = {leaf.id: index for index, leaf in enumerate(leaves) if is_counted(leaf)}
    fitting = [index for index, leaf in enumerate(leaves) if is_counted(leaf) and last[leaf.id] != index]
    assume(fitting)
    del leaves[data.draw(st.sampled_from(fitting))]
    assert replay(leaves).findings


@given(seeds, st.integers(5, 80), st.data())
@settings(max_examples=200, deadline=None)
def test_two_leaves_of_a_grant_change_places(seed: int, length: int, data: st.DataObject) -> None:
    leaves = random_history(seed, length).leaves
    pairs = [
        (low, high)
        for high, leaf in enumerate(leaves)
        for low in range(high)
        if is_counted(leaf) and is_counted(leaves[low]) and leaf.id == leaves[low].id
    ]
    assume(pairs)
    low, high = data.draw(st.sampled_from(pairs))
    leaves[low], leaves[high] = leaves[high], leaves[low]
    assert replay(leaves).findings


@given(seeds, st.integers(5, 80), st.data())
@settings(max_examples=200, deadline=None)
def test_a_use_after_the_end_is_found_wherever_it_stands(seed: int, length: int, data: st.DataObject) -> None:
    history = random_history(seed, length)
    ended = {leaf.id: index for index, leaf in enumerate(history.leaves) if leaf.kind in ENDINGS}
    assume(ended)
    grant_id = data.draw(st.sampled_from(sorted(ended)))
    grant = next(one for one in history.ended if one.id == grant_id)
    after = History(Random(seed), minute=history.minute)
    after.use(grant)
    at = data.draw(st.integers(ended[grant_id] + 1, len(history.leaves)))
    # Put in with the minute of its neighbour, as a city would that hides it.
    use = replace(after.leaves[0], flags=0, minute=0).at_minute(max(leaf.minute for leaf in history.leaves[:at]))
    leaves = [*history.leaves[:at], use, *history.leaves[at:]]
    assert ("use-after-ending", at) in [(finding.code, finding.leaf_index) for finding in replay(leaves).findings]


@given(seeds, st.integers(5, 80), st.data())
@settings(max_examples=200, deadline=None)
def test_a_refusal_too_many_is_found_wherever_it_stands(seed: int, length: int, data: st.DataObject) -> None:
    leaves = random_history(seed, length).leaves
    denies = [index for index, leaf in enumerate(leaves) if leaf.kind is Kind.DENY and not leaf.flags & DAY_ONLY]
    assume(denies)
    index = data.draw(st.sampled_from(denies))
    again = replace(leaves[index], commitment=bytes(32))
    found = replay([*leaves[: index + 1], again, *leaves[index + 1 :]]).findings
    assert ("refusals-flood", index + 1) in [(finding.code, finding.leaf_index) for finding in found]


@given(seeds, lengths, st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_who_reads_only_the_end_finds_no_fault_in_an_honest_log(seed: int, length: int, cut: int) -> None:
    """The entries of an earlier period are gone: what is left is held against itself, and nothing else."""
    leaves = random_history(seed, length).leaves
    first = length * cut // 100
    tally = Tally()
    taking = Replay(tally, now=NOW, blind=True)
    for index, leaf in enumerate(leaves[first:]):
        taking.take(index, leaf.to_bytes())
    assert [finding.code for finding in tally.findings] == []
