"""Threads that owe something go on after a fault, and log its type: a database's words quote a statement's values."""

import logging
from threading import Event
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from consent.holder.sending import Sending
from verifier.kit.kit import ConsentKit

VALUE = "99999990S"


class Once(Event):
    """Lets one round run."""

    def wait(self, timeout: float | None = None) -> bool:
        done = self.is_set()
        self.set()
        return done


def breaks(*_: Any) -> int:
    raise OperationalError("UPDATE spooled SET statement = ?", {"statement": VALUE}, Exception(VALUE))


@pytest.mark.parametrize(
    ("room", "names"), [(Sending, ("notices", "roots")), (ConsentKit, ("catch_up", "send_receipts"))]
)
def test_a_fault_is_told_by_its_type(
    room: Any, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in names:
        monkeypatch.setattr(room, name, breaks)
    owner = object.__new__(room)
    with caplog.at_level(logging.DEBUG):
        (owner.run if room is Sending else owner.keep_up)(Once())
    assert "OperationalError" in caplog.text and VALUE not in caplog.text
