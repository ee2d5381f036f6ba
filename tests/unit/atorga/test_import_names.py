"""Another distribution with one of our import names is found at start, and said."""

from pathlib import Path

import pytest

from atorga import cli
from atorga.import_names import clash


def test_no_clash_here() -> None:
    assert clash() is None


def test_a_package_from_elsewhere_is_named(tmp_path: Path) -> None:
    found = clash(tmp_path)
    assert found is not None and "'identity'" in found and str(tmp_path) in found


def test_the_command_says_so_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atorga.import_names.clash", lambda: "identity is somebody else's")
    assert cli.main(["demo"]) == 2
    assert "somebody else's" in capsys.readouterr().err
