"""Measuring: CPU microseconds of one call, and OpenSSL's own figures as the unit."""

import gc
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

SLICE_SECONDS = 0.4
"""CPU seconds a contender runs in one round: long against the clock's grain, short against the neighbours' moods."""

AGREEMENT_SECONDS = 0.1

_SPEED = re.compile(r"^ *256 bits ecdsa \(nistp256\).*?([\d.]+) +([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one P-256 signature and one verification cost in OpenSSL, in CPU microseconds; and of X25519, by
    ``cryptography``, which has it from OpenSSL, a fresh pair and an agreement: sealing a value takes one of each."""

    sign_us: float
    verify_us: float
    pair_us: float
    agree_us: float


def openssl_unit(seconds: int = 1) -> Unit:
    """``openssl speed ecdsap256``. Raises RuntimeError where there is no openssl, or it says something else."""
    path = shutil.which("openssl")
    if path is None:
        raise RuntimeError("openssl is not installed; the benchmarks measure against it")
    command = [path, "speed", "-seconds", str(seconds), "ecdsap256"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = _SPEED.search(said)
    if found is None:
        raise RuntimeError("openssl speed: no line for ecdsa nistp256")
    own, other = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    return Unit(
        sign_us=1e6 / float(found[1]),
        verify_us=1e6 / float(found[2]),
        pair_us=cpu_us(X25519PrivateKey.generate, AGREEMENT_SECONDS),
        agree_us=cpu_us(lambda: own.exchange(other), AGREEMENT_SECONDS),
    )


def cpu_us(operation: Callable[[], object], seconds: float = SLICE_SECONDS) -> float:
    """CPU microseconds of one call, over as many calls as fill ``seconds``; the collector stands still."""
    calls = 1
    gc.collect()
    gc.disable()
    try:
        while True:
            start = time.process_time()
            for _ in range(calls):
                operation()
            spent = time.process_time() - start
            if spent >= seconds:
                return spent / calls * 1e6
            # Aim a little beyond, so that the next try is the last.
            calls = max(calls + 1, int(calls * 1.2 * seconds / max(spent, seconds / 100)))
    finally:
        gc.enable()


def child_cpu_us(operation: Callable[[], object], times: int = 5) -> float:
    """CPU microseconds of the processes that one call starts and waits for; the cheapest of ``times`` calls."""
    best = float("inf")
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        operation()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best * 1e6


def wall_us(operation: Callable[[], object], times: int) -> float:
    """Wall microseconds of the fastest of ``times`` calls: for whole processes, whose CPU time is not ours."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        operation()
        best = min(best, time.perf_counter() - start)
    return best * 1e6
