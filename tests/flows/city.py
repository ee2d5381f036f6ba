"""A city of its own for a test module: separate processes, ports that no other worker has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atorga.town.actors import City
from atorga.town.folder import PORTS
from atorga.town.processes import free
from atorga.town.town import Town

FIRST_PORT = 20_000
PORTS_A_WORKER = 1_000


def free_port_base() -> int:
    """Of this worker's own range, which no other worker asks for."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker * PORTS_A_WORKER
    for base in range(first, first + PORTS_A_WORKER - PORTS, PORTS):
        if all(free(port) for port in range(base, base + PORTS)):
            return base
    raise AssertionError("no free ports for a city")


@contextmanager
def running_city(root: Path, *, restart: bool = False) -> Iterator[tuple[Town, City]]:
    town = Town(root, port_base=free_port_base(), restart=restart)
    town.start()
    city = City(town.line(pid=os.getpid()))
    try:
        yield town, city
    finally:
        city.close()
        town.stop()
