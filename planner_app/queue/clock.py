"""A clock that stands still while the machine sleeps, and from which start of it that counts.

A laptop that was closed for an hour must not make its workers look dead. `time.monotonic` is
CLOCK_MONOTONIC on Linux and mach_absolute_time on macOS: neither counts sleep, and all processes
read the same value.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path


def steady_seconds() -> float:
    """Seconds since some moment of this start of the machine."""
    return time.monotonic()


@cache
def boot_id() -> str:
    """Names this start of this machine; values of `steady_seconds` compare only within one."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or socket.gethostname()
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
