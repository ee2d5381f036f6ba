"""Several processes that serve one address: each listens at the port itself, and the system shares out connections.

The process that was started binds the port first, so that one that is taken is an error as ever; it
serves nothing, starts the workers, starts again what dies, and ends them when it is told to end.
"""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from atorga.serve.settings import ConfigurationError

WATCH_SECONDS = 0.2

RESTART_PAUSE_SECONDS = 0.5
"""A worker that dies at once would else be started as fast as the machine can."""

STOP_SECONDS = 20.0
"""Longer than uses in flight may take to end."""

BACKLOG = 2_048


def reserve(host: str, port: int) -> socket.socket:
    """Holds the port, without listening, against every other service. Raises ConfigurationError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        return _bound(family, host, port)
    except OSError as fault:
        raise ConfigurationError(f"[service] port: {port} cannot be used ({fault.strerror})") from None


def listen(host: str, port: int) -> socket.socket:
    """A worker's own end of the port."""
    bound = _bound(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)
    bound.listen(BACKLOG)
    bound.setblocking(False)
    bound.set_inheritable(False)
    return bound


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


def supervise(command: Sequence[str], count: int) -> int:
    """Runs ``command`` so many times until SIGTERM or SIGINT; a worker that refuses its configuration ends all."""
    ended = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    running = [subprocess.Popen(command) for _ in range(count)]
    code = 0
    while not ended.wait(WATCH_SECONDS):
        for place, worker in enumerate(running):
            found = worker.poll()
            if found is None:
                continue
            if found == 2:
                code = found
                ended.set()
                break
            print(f"worker ended with code {found}; started again", file=sys.stderr, flush=True)
            time.sleep(RESTART_PAUSE_SECONDS)
            running[place] = subprocess.Popen(command)
    _end(running)
    return code


def _end(running: Sequence["subprocess.Popen[bytes]"]) -> None:
    for worker in running:
        worker.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for worker in running:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
