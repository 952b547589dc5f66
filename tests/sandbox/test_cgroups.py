"""Kills by the memory limit are counted under both versions of cgroups."""

from __future__ import annotations

import io
from typing import IO

import pytest

from sandbox.guest import processes

V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"
V2 = "low 0\nhigh 0\nmax 31\noom 3\noom_kill 3\noom_group_kill 0\n"
V2_BEFORE_5_17 = "low 0\nhigh 0\nmax 31\noom 4\noom_kill 4\n"
FILES = {"v1": "/sys/fs/cgroup/memory/memory.oom_control", "v2": "/sys/fs/cgroup/memory.events"}


@pytest.mark.parametrize(
    ("version", "text", "count"),
    [
        ("v1", V1, 2),
        ("v2", V2, 3),
        ("v2", V2_BEFORE_5_17, 4),
        ("v1", "oom_kill_disable 0\nunder_oom 0\n", 0),
        ("none", "", 0),
    ],
)
def test_what_a_kernel_tells_of_kills_is_read(
    monkeypatch: pytest.MonkeyPatch, version: str, text: str, count: int
) -> None:
    def recorded(path: str) -> IO[str]:
        if path != FILES.get(version):
            raise FileNotFoundError(path)
        return io.StringIO(text)

    monkeypatch.setattr(processes, "open", recorded, raising=False)
    assert processes.count_oom_kills() == count
