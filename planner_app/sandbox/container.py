"""One container per attempt: how it is created, and how those that were left behind are removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.sandbox.image_build import engine_errors
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.options import APP_LABEL, SandboxOptions

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

HOME_LABEL = f"{APP_LABEL}.home"
RUN_LABEL = f"{APP_LABEL}.run"
ATTEMPT_LABEL = f"{APP_LABEL}.attempt"
OWNER_LABEL = f"{APP_LABEL}.owner"
WORKER_UID = 1000
STARTING = timedelta(seconds=30)
"""A container that was created so recently may be about to start in another process."""


def create(
    client: DockerClient,
    image: str,
    options: SandboxOptions,
    limits: Limits,
    labels: dict[str, str],
) -> Container:
    """Create a container, not started. Raises EngineMissing, ImageMissing."""
    with engine_errors("cannot create a sandbox"):
        return client.containers.create(image, **_flags(options, limits, labels))


def _flags(options: SandboxOptions, limits: Limits, labels: dict[str, str]) -> dict[str, Any]:
    """No network, read-only root, no capabilities but the supervisor's three, hard limits."""
    from docker.types import LogConfig, Ulimit

    mounts = f"rw,nosuid,nodev,mode=1777,nr_inodes={limits.inodes}"
    flags: dict[str, Any] = {
        "command": ["python3", "-P", "-s", "-u", "/opt/guest/__main__.py"],
        "user": "0:0",
        "working_dir": "/workspace",
        "hostname": "sandbox",
        "stdin_open": True,
        "tty": False,
        "auto_remove": True,
        "network_mode": "none",
        "read_only": True,
        "ipc_mode": "private",
        "cap_drop": ["ALL"],
        "cap_add": ["SETUID", "SETGID", "KILL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "nano_cpus": int(limits.cpus * 1e9),
        "pids_limit": limits.pids,
        "shm_size": "16m",
        "log_config": LogConfig(type="none"),
        "tmpfs": {
            "/tmp": f"{mounts},size={limits.tmp_bytes}",  # noqa: S108 - inside the container
            "/workspace": f"{mounts},size={limits.workspace_bytes}",
        },
        "ulimits": [
            Ulimit(name="nofile", soft=1024, hard=1024),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "environment": _environment(options),
        "labels": {
            APP_LABEL: "sandbox",
            HOME_LABEL: options.home_label,
            OWNER_LABEL: str(os.getpid()),
            **labels,
        },
    }
    if options.runtime:
        flags["runtime"] = options.runtime
    return flags


def _environment(options: SandboxOptions) -> dict[str, str]:
    return {
        "HOME": "/tmp",  # noqa: S108 - inside the container
        "LANG": "C.UTF-8",
        "OPENBLAS_NUM_THREADS": "1",
        "PLANNER_CONTAINED": "1",
        "PLANNER_UID": str(WORKER_UID),
        "PLANNER_WORKSPACE": "/workspace",
        "PLANNER_PRELOAD": ",".join(options.preload),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def remove(container: Container) -> None:
    """Remove a container if it is still there."""
    import requests
    from docker.errors import APIError

    try:
        container.remove(force=True)
    except APIError as error:
        if error.status_code not in {404, 409}:  # gone, or on its way out by itself
            raise
    except requests.exceptions.RequestException:
        return  # the engine is away; the end of its stdin ends the sandbox


def remove_leftovers(client: DockerClient, home: Path) -> list[str]:
    """Remove this data folder's containers that no living process feeds; their names.

    A running one ends by itself when its process does, so only those that never started, or have
    ended without being removed, can be left over.
    """
    labels = [f"{APP_LABEL}=sandbox", f"{HOME_LABEL}={SandboxOptions(home).home_label}"]
    removed = []
    with engine_errors("cannot look for left-over sandboxes"):
        filters = {"label": labels, "status": ["created", "exited", "dead"]}
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            if _is_old(container.attrs.get("Created", "")):
                remove(container)
                removed.append(str(container.name))
    return removed


def _is_old(created: str) -> bool:
    try:
        at = datetime.fromisoformat(created[:19]).replace(tzinfo=UTC)
    except ValueError:
        return True
    return datetime.now(UTC) - at > STARTING
