"""Puts the guest together and runs it."""

from __future__ import annotations

import os

from . import lockdown
from .config import read_place
from .supervisor import Supervisor


def main() -> None:
    """Take over stdin and stdout, and serve the host until it goes away."""
    place = read_place()
    from_host, to_host = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what is printed by mistake goes to stderr, which the host keeps for diagnosis
    os.close(null)
    lockdown.hide_process()
    for name in place.preload:
        __import__(name)
    Supervisor(place, from_host, to_host).serve()
