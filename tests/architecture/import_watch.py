"""Imports the named modules in a process of its own and prints, as JSON, what importing them did to the world.

Usage: import_watch.py PATH MODULE…   An audit hook sees what Python does below every library. An act is counted when
the module that is being imported lies below PATH: what a library does while it is imported is its own matter.
"""

import importlib
import json
import os
import sys
import threading
from types import FrameType
from typing import Any

ACTS = frozenset({
    "fcntl.flock", "os.exec", "os.fork", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.system",
    "socket.bind", "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen",
})  # fmt: skip


def act_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event == "open":
        path, mode, flags = arguments
        written = set("wax+") & set(mode or "") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return f"opens {path} to write" if written else None
    return event if event in ACTS else None


def module_being_imported(frame: FrameType | None) -> str:
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            return frame.f_code.co_filename
        frame = frame.f_back
    return ""


def main(path: str, names: list[str]) -> None:
    found: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        act = act_of(event, arguments)
        if act is None:
            return
        module = module_being_imported(sys._getframe(1))
        if module.startswith(f"{path}/") and "/.venv/" not in module and module != __file__:
            found.append(f"{module}: {act}")

    sys.dont_write_bytecode = True
    sys.path.insert(0, path)
    sys.addaudithook(hook)
    for name in names:
        importlib.import_module(name)
    if threading.active_count() > 1:  # Python tells a hook of threads only since 3.12
        found.append("a thread was started")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
