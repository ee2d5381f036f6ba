"""Several processes at one port: who may have them, who holds the port, who starts again what dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atorga.serve import workers
from atorga.serve.process import run
from atorga.serve.settings import ConfigurationError, load
from tests.flows.consent_process import free_port

SERVICE = """
[service]
url = "http://localhost:{port}"
port = {port}
data = "data"
{more}
"""


def configuration(folder: Path, more: str) -> Path:
    path = folder / "service.toml"
    path.write_text(SERVICE.format(port=free_port(), more=more))
    return path


@pytest.mark.parametrize(("more", "count"), [("", 1), ("workers = 3", 3)])
def test_how_many(tmp_path: Path, more: str, count: int) -> None:
    head, _ = load(configuration(tmp_path, more), profile="sandbox")
    assert head.workers == count


@pytest.mark.parametrize("more", ["workers = 0", "workers = 65", 'workers = "2"', "workers = true"])
def test_a_number_of_processes_is_expected(tmp_path: Path, more: str) -> None:
    with pytest.raises(ConfigurationError, match="workers"):
        load(configuration(tmp_path, more), profile="sandbox")


def test_most_services_are_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = configuration(tmp_path, "workers = 2")
    assert run("witness", path, profile="sandbox", with_parent=False) == 2
    assert "witness is one process" in capsys.readouterr().err


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="cannot be used"):
        workers.reserve("127.0.0.1", taken.getsockname()[1])


def test_who_reserves_a_port_answers_nobody_and_workers_share_it() -> None:
    port = free_port()
    with workers.reserve("127.0.0.1", port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        with workers.listen("127.0.0.1", port), workers.listen("127.0.0.1", port), socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == 0


SUPERVISOR = """
import sys
from atorga.serve import workers
sys.exit(workers.supervise([sys.executable, "-c", {worker!r}], 2))
"""


def supervised(worker: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", SUPERVISOR.format(worker=worker)], stdout=subprocess.PIPE, text=True)


def test_what_dies_is_started_again_and_all_end_together() -> None:
    process = supervised("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    assert process.stdout is not None
    first, second = int(process.stdout.readline()), int(process.stdout.readline())
    os.kill(first, signal.SIGKILL)
    third = int(process.stdout.readline())
    assert third not in (first, second)
    process.terminate()
    assert process.wait(30) == 0
    for pid in (second, third):
        assert not alive(pid)


def test_a_worker_that_refuses_its_configuration_ends_all() -> None:
    process = supervised("import sys; sys.exit(2)")
    assert process.wait(30) == 2


def alive(pid: int) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True
