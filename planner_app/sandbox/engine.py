"""Asks the container engine for containers, by its library, in blocking calls for threads.

Everything a container may and may not do is said here, in one place.
"""

from __future__ import annotations

import os
import resource
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner_app.domain.errors import EngineMissing, ImageMissing, SandboxError
from planner_app.sandbox.engine_client import (
    DOCTOR,
    ENGINE_SECONDS,
    asked,
    client_of,
    no_answer,
    one_line,
)
from planner_app.sandbox.engine_endpoint import Endpoint, find_endpoint
from planner_app.sandbox.limits import Limits
from planner_app.sandbox.options import APP_LABEL, SandboxOptions

if TYPE_CHECKING:
    from docker import DockerClient

APP, HOME, OWNER, RUN, STEP, ATTEMPT = (
    f"{APP_LABEL}.{name}" for name in ("app", "home", "owner", "run", "step", "attempt")
)
GUEST_UID = 1000
COMMAND = ["python3", "-S", "-P", "/opt/guest/start.pyc"]
PACKAGES = "/opt/site:/opt/extra"
"""Where the image has its packages: told to the guest, which is sooner than to have it search."""
OPEN_FILES = 1024
SHARED_MEMORY = "16m"


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answers."""

    client: DockerClient
    endpoint: Endpoint
    image: str
    """Tag of the sandbox image, which is there."""
    is_podman: bool = False


def connect(options: SandboxOptions) -> Engine:
    """Reach the engine and look for the image; blocks. Raises EngineMissing, ImageMissing."""
    endpoint = find_endpoint()
    answer = asked(endpoint, ENGINE_SECONDS)

    from planner_app.sandbox.image import needed_tags
    from planner_app.sandbox.image_build import has_image
    from planner_app.sandbox.image_use import hold, note_need

    client = client_of(endpoint, answer, ENGINE_SECONDS)
    tags = (options.image,) if options.image else needed_tags(options.packages)
    image = tags[-1]
    hold(image)
    note_need(options.home, tags)
    if not has_image(client, image):
        raise ImageMissing("the sandbox image is not built yet", "run: planner sandbox build")
    return Engine(client, endpoint, image, answer.is_podman)


@contextmanager
def engine_faults(what: str) -> Iterator[None]:
    """Turn the library's errors into ours, in one line that begins with `what`."""
    import requests
    from docker.errors import APIError, DockerException, ImageNotFound

    try:
        yield
    except ImageNotFound as error:
        raise ImageMissing(f"{what}: the image is gone", "run: planner sandbox build") from error
    except APIError as error:
        said = one_line(error.explanation or error)
        raise SandboxError(f"{what}: {said}", _advice(said)) from error
    except (requests.exceptions.RequestException, DockerException) as error:
        raise EngineMissing(f"{what}: {no_answer(error)}", DOCTOR) from error


def _advice(said: str) -> str:
    """What to do about an engine's complaint, where it is one that people meet."""
    told = said.lower()
    if "runtime" in told and ("unknown" in told or "invalid" in told or "not found" in told):
        return "add that runtime to the engine, or take [sandbox] runtime out of the settings"
    if "no space left" in told:
        return "make room for the engine: docker system df, planner sandbox clean"
    return ""


def owner_mark() -> str:
    """This process, so that nobody takes its fresh containers for leftovers."""
    return f"{os.uname().nodename}/{os.getpid()}/{_started(os.getpid())}"


def owner_is_gone(mark: str) -> bool:
    """Whether the process that made a container has ended, as far as this machine can tell."""
    node, _, rest = mark.partition("/")
    pid, _, started = rest.partition("/")
    if node != os.uname().nodename or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _alive_without_proc(pid)
    return text.rpartition(")")[2].split()[19]


def _alive_without_proc(pid: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "?"
    return "?"


def create(
    engine: Engine, options: SandboxOptions, limits: Limits, labels: Mapping[str, str]
) -> str:
    """Create a container, not started; its id. Blocks. Raises SandboxError, EngineMissing."""
    api = engine.client.api
    with engine_faults("no sandbox can be made"):
        made = api.create_container(
            engine.image,
            COMMAND,
            name=f"planner-{secrets.token_hex(6)}",
            hostname="sandbox",
            user="0:0",  # PID 1 only: the worker becomes uid 1000 and keeps no capability
            working_dir="/workspace",
            stdin_open=True,
            tty=False,
            stop_signal="SIGKILL",  # PID 1 takes no other, and an engine that stops waits 10 s
            network_disabled=True,
            environment=_environment(options),
            labels={
                **labels,
                APP: "sandbox",
                HOME: options.home_label,
                OWNER: owner_mark(),
            },
            host_config=api.create_host_config(**_host_config(engine, options, limits)),
        )
    return str(made["Id"])


def _environment(options: SandboxOptions) -> dict[str, str]:
    return {
        "HOME": "/tmp",  # noqa: S108 - inside the container
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PLANNER_CONTAINED": "1",
        "PLANNER_PACKAGES": PACKAGES,
        "PLANNER_PRELOAD": ",".join(options.preload),
        "PLANNER_UID": str(GUEST_UID),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def _host_config(engine: Engine, options: SandboxOptions, limits: Limits) -> dict[str, Any]:
    from docker.types import LogConfig, Ulimit

    tmp, workspace = limits.file_bytes()
    # Podman knows no such option; there the memory limit holds the inodes, too.
    inodes = None if engine.is_podman else limits.inodes
    config: dict[str, Any] = {
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
        "shm_size": SHARED_MEMORY,
        "log_config": LogConfig(type="none"),
        "tmpfs": {
            "/tmp": _tmpfs(tmp, inodes),  # noqa: S108 - inside the container
            "/workspace": _tmpfs(workspace, inodes),
        },
        "ulimits": [Ulimit(name=n, soft=m, hard=m) for n, m in _ulimits(engine).items()],
    }
    if engine.is_podman:  # it would put a folder there that all may write to
        config["tmpfs"]["/var/tmp"] = "ro,nosuid,nodev,size=4k,mode=755"  # noqa: S108
    if options.runtime:
        config["runtime"] = options.runtime
    return config


def _ulimits(engine: Engine) -> dict[str, int]:
    limits = {"nofile": OPEN_FILES, "core": 0}
    local = engine.endpoint.url.startswith("unix://") and sys.platform == "linux"
    if engine.is_podman and local:
        limits["nproc"] = _most_processes()
    return limits


def _most_processes() -> int:
    """As many as this machine allows anyone: it counts per user, over all sandboxes, so it is no
    bound for one of them. Podman has to be told, since it asks for a million of its own, and
    where root may not raise limits it then starts nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def _tmpfs(size: int, inodes: int | None) -> str:
    options = f"rw,nosuid,nodev,size={size},mode=1777"
    return options if inodes is None else f"{options},nr_inodes={inodes}"


def start(engine: Engine, container: str) -> None:
    """Start a created container; blocks. Raises SandboxError, EngineMissing."""
    with engine_faults("the sandbox does not start"):
        engine.client.api.start(container)


def remove(engine: Engine, container: str) -> None:
    """End and remove a container, whatever state it is in; blocks.

    Raises SandboxError or EngineMissing when it may still be there.
    """
    from docker.errors import APIError, NotFound

    with engine_faults("a sandbox cannot be removed"):
        try:
            engine.client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # 409: its removal is already under way
                raise


def remove_leftovers(client: DockerClient, home: Path) -> list[str]:
    """Remove the containers of this data folder whose process has ended; their names. Blocks.

    Nothing of another data folder, another machine or a living process is touched. Raises
    EngineMissing, SandboxError.
    """
    from docker.errors import APIError, NotFound

    wanted = [f"{APP}=sandbox", f"{HOME}={SandboxOptions(home=home).home_label}"]
    removed = []
    with engine_faults("leftovers cannot be collected"):
        for found in client.api.containers(all=True, filters={"label": wanted}):
            if not owner_is_gone(str(found["Labels"].get(OWNER, ""))):
                continue
            try:
                client.api.remove_container(found["Id"], force=True, v=True)
            except NotFound:
                continue  # it went by itself meanwhile
            except APIError as error:
                if error.status_code != 409:
                    raise
            removed.append(str((found.get("Names") or [found["Id"][:12]])[0]).lstrip("/"))
    return removed
