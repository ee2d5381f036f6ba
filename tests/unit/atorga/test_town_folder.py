"""One town a folder, and a town that could not start says why."""

from pathlib import Path

import pytest

from atorga.town.folder import TownFolder, TownLock
from atorga.town.processes import Processes, Service, TownError
from atorga.town.town import Town


def test_a_second_town_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    folder = TownFolder(tmp_path, 30_000, "2026")
    first = TownLock(folder)
    with pytest.raises(TownError, match="running already"):
        TownLock(folder)
    first.release()
    first.release()
    TownLock(folder).release()


def test_what_could_not_start_may_be_stopped_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it stops it in any case; the fault that is told must stay the first one."""

    def fails(_: Processes, services: list[Service]) -> None:
        raise TownError("holder ended with code 2")

    monkeypatch.setattr(Processes, "start", fails)
    monkeypatch.setattr("atorga.town.town.free", lambda port: True)
    town = Town(tmp_path / "city", port_base=30_000)
    with pytest.raises(TownError, match="code 2"):
        town.start()
    town.stop()
