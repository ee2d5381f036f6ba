"""The screen cannot be rewritten by what others wrote, and questions need somebody to answer them."""

import io

import pytest

from tests.unit.wallet_cli.conftest import Keyboard
from wallet_cli.terminal import Terminal, plain

YES = frozenset({"y", "yes"})


@pytest.mark.parametrize(
    "foreign",
    [
        "\x1b[2J\x1b[Hall fine",
        "name\rother",
        "two\nlines",
        "\u202etxet",
        "\u2028",
        "\x07",
        "\x9b31m",
        "a\u200bb",
        "\ud800",
    ],
)
def test_foreign_text_has_no_control_characters(foreign: str) -> None:
    shown = plain(foreign)
    assert shown.isprintable()
    assert len(shown) == len(foreign)


def test_foreign_text_cannot_push_a_warning_off_the_screen() -> None:
    assert len(plain("x" * 10_000)) < 400


def terminal(typed: str | None) -> Terminal:
    return Terminal(
        stdin=io.StringIO() if typed is None else Keyboard(typed), stdout=io.StringIO(), stderr=io.StringIO()
    )


def test_nobody_there_is_no() -> None:
    assert not terminal(None).confirm("?", yes=YES)


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_only_yes_is_yes(typed: str, agreed: bool) -> None:
    assert terminal(typed).confirm("?", yes=YES) is agreed


def test_yes_option_answers() -> None:
    screen = terminal(None)
    screen.assume_yes = True
    assert screen.confirm("?", yes=YES)


def test_with_json_the_text_leaves_stdout_to_the_object() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Terminal(stdin=io.StringIO(), stdout=out, stderr=err)
    screen.json = True
    screen.say("for a person")
    screen.result({"ñ": 1})
    assert out.getvalue() == '{"ñ":1}\n'
    assert err.getvalue() == "for a person\n"
