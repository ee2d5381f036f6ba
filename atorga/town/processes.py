"""The town's services as separate processes: started in order, watched, stopped in reverse order.

A service that dies is started again, as a supervisor would; what it had acknowledged is on its
disk. What a service prints goes to ``DATA/log/NAME.log`` and nowhere else.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from identity.keys.keyed_hash import socket_address

READY_SECONDS = 60.0
"""A laptop that starts seven Pythons at once needs ten; more means that it will not come."""

STOP_SECONDS = 15.0
"""Longer than a service's own time for uses in flight."""

RESTART_PAUSE_SECONDS = 0.5
MAX_RESTARTS_A_MINUTE = 5


class TownError(Exception):
    """The town cannot start, or one of its services does not stay up."""


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    port: int | None
    """Where it listens on loopback; None = at the Unix socket."""
    command: tuple[str, ...]
    log: Path
    socket: Path | None = None

    def is_ready(self) -> bool:
        if self.port is not None:
            return listens(self.port)
        return self.socket is None or listens_at(self.socket)


class Processes:
    """Services of one data folder. Use from one thread; the watcher is the only other."""

    def __init__(self, *, restart: bool) -> None:
        self._restart = restart
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._services: dict[str, Service] = {}
        self._restarts: dict[str, list[float]] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None
        self.failure: str | None = None

    def start(self, services: Sequence[Service]) -> None:
        """Starts services side by side and waits until each listens. Raises TownError."""
        with self._lock:
            for service in services:
                self._services[service.name] = service
                self._running[service.name] = _spawn(service)
        for service in services:
            self._wait(service)
        if self._restart and self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="town-watcher", daemon=True)
            self._watcher.start()

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def kill(self, name: str) -> None:
        """kill -9, as a power cut would; a test brings it back by ``again``."""
        with self._lock:
            process = self._running.pop(name)
            process.kill()
            process.wait()

    def stop(self, name: str) -> None:
        """SIGTERM, and waits."""
        with self._lock:
            process = self._running.pop(name)
        _end(process)

    def again(self, name: str) -> None:
        self.start([self._services[name]])

    def stop_all(self) -> None:
        """In reverse order of their start, so that nobody asks a service that is gone."""
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        with self._lock:
            for name in reversed(list(self._running)):
                self._running[name].send_signal(signal.SIGTERM)
                _end(self._running.pop(name))

    def _wait(self, service: Service) -> None:
        deadline = time.monotonic() + READY_SECONDS
        process = self._running[service.name]
        while not service.is_ready():
            if process.poll() is not None:
                raise TownError(
                    f"{service.name} ended with code {process.returncode}: see {service.log}\n{_tail(service.log)}"
                )
            if time.monotonic() > deadline:
                raise TownError(f"{service.name} is not ready after {READY_SECONDS:.0f} s: see {service.log}")
            time.sleep(0.03)

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            with self._lock:
                dead = [name for name, process in self._running.items() if process.poll() is not None]
                for name in dead:
                    self._revive(name)

    def _revive(self, name: str) -> None:
        now = time.monotonic()
        recent = [at for at in self._restarts.get(name, []) if at > now - 60]
        if len(recent) >= MAX_RESTARTS_A_MINUTE:
            self.failure = f"{name} died {len(recent) + 1} times within a minute: see {self._services[name].log}"
            self._ended.set()
            return
        self._restarts[name] = [*recent, now]
        print(f"town: {name} ended with code {self._running[name].returncode}; started again", file=sys.stderr)
        time.sleep(RESTART_PAUSE_SECONDS)
        self._running[name] = _spawn(self._services[name])

    @property
    def ended(self) -> threading.Event:
        """Set when a service cannot be kept up, or on ``stop_all``."""
        return self._ended


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listens_at(path: Path) -> bool:
    try:
        with socket_address(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(address) == 0
    except FileNotFoundError:
        # A long path is reached through its folder, which the service has yet to make.
        return False


def free(port: int) -> bool:
    """Whether a service can bind it on loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _spawn(service: Service) -> subprocess.Popen[bytes]:
    service.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WALLET")}
    with service.log.open("ab") as log:
        # A session of its own: Ctrl-C at the terminal reaches the town, which stops them in order.
        return subprocess.Popen(
            service.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
