"""An id is an id, also where it begins with a hyphen."""

import argparse
from collections.abc import Iterator

import pytest

from atorga.cli import parser
from wallet_cli import arguments, texts
from wallet_cli.id_arguments import shield, unshield

HYPHENS = ("-YXceUTxpHTWTkB1vEu5sg", "--XceUTxpHTWTkB1vEu5sg")


def options(root: argparse.ArgumentParser) -> Iterator[str]:
    for action in root._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for under in action.choices.values():
                yield from options(under)


def test_no_option_looks_like_an_id() -> None:
    every = [*options(arguments.build(texts.load("en"))), *options(parser())]
    assert len(every) > 50 and shield(every) == every


@pytest.mark.parametrize("one", HYPHENS)
@pytest.mark.parametrize(
    "line", [("consent", "show"), ("consent", "withdraw"), ("consent", "recoveries", "--cancel"), ("show",)]
)
def test_an_id_that_begins_with_a_hyphen(one: str, line: tuple[str, ...]) -> None:
    parsed = unshield(arguments.build(texts.load("en")).parse_args(shield([*line, one])))
    assert one in vars(parsed).values()


def test_two_of_them() -> None:
    parsed = unshield(arguments.build(texts.load("en")).parse_args(shield(["mandate", "withdraw", *HYPHENS])))
    assert (parsed.id, parsed.grant) == HYPHENS


@pytest.mark.parametrize("other", ["--yes", "-YXceUTxpHTWTkB1vEu5sh", "-YXceUTxpHTWTkB1vEu5s", "YXceUTxpHTWTkB1vEu5sg"])
def test_what_is_left_as_it_is(other: str) -> None:
    assert shield([other]) == [other]
