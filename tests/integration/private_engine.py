"""A container engine of the tests' own, to be killed, restarted, filled and removed at will.

It lives in network, process and mount namespaces of its own: nothing of it can touch the machine's
engine, and when the tests end, however they end, nothing of it is left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from docker.errors import APIError

from planner_app._bundled import bundled_dir
from planner_app.sandbox.engine_client import asked, client_of, open_client
from planner_app.sandbox.engine_endpoint import Endpoint, find_endpoint, ping
from planner_app.sandbox.engine_setup import SYSTEM_FOLDERS
from planner_app.sandbox.image import Layers, ensure_image

SECONDS = 30.0
PYTHON = (
    "usr/bin/python3",
    "usr/local/bin/python3",
    "usr/local/lib/",
    "usr/lib",
    "lib",
    "bin",
    "usr/bin/sh",
    "usr/bin/dash",
    "usr/bin/cp",
)
"""What the guest needs of the sandbox image's base: 75 of its 890 MB."""


def only_python(member: tarfile.TarInfo) -> bool:
    return member.name.startswith(PYTHON) and not member.name.startswith("usr/lib/locale")


def save_small_base(archive: Path) -> None:
    """A root filesystem for sandboxes without packages, taken from the base that is here."""
    with contextlib.closing(open_client()) as client, archive.open("wb") as file:
        made = client.api.create_container(layers().base, ["none"])
        try:
            whole = IterStream(client.api.export(made["Id"], chunk_size=1 << 20))
            with (
                tarfile.open(fileobj=whole, mode="r|") as source,
                tarfile.open(fileobj=file, mode="w") as target,
            ):
                for member in source:
                    if only_python(member):
                        content = source.extractfile(member) if member.isreg() else None
                        target.addfile(member, content)
                workspace = tarfile.TarInfo("workspace")
                workspace.type, workspace.mode = tarfile.DIRTYPE, 0o1777
                target.addfile(workspace)
        finally:
            client.api.remove_container(made["Id"], force=True)


def layers() -> Layers:
    return Layers(bundled_dir("sandbox"), ())


class IterStream:
    """A file to read from, over pieces that come one after the other."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        parts = [self._left]
        have = len(self._left)
        while have < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._left = data[size:]
        return data[:size]


def build_image(url: str, archive: Path) -> None:
    """Make the program's image in an engine, on the small base instead of its packages."""
    endpoint = Endpoint(url, "DOCKER_HOST")
    with contextlib.closing(client_of(endpoint, asked(endpoint), 60)) as client:
        client.api.import_image(str(archive), repository=layers().extra)
        ensure_image(client)


def dockerd(folder: Path, *flags: str) -> list[str]:
    """A Docker daemon that keeps everything in the folder."""
    return [
        "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false",
        f"--host=unix://{folder}/engine.sock", f"--data-root={folder}/data",
        f"--exec-root={folder}/exec", f"--pidfile={folder}/docker.pid", *flags,
    ]  # fmt: skip


def podman(folder: Path) -> list[str]:
    """Podman's service for Docker's clients, with everything in the folder.

    But for what it runs from, whose path it wants in 50 characters: that memory is its own too.
    """
    return [
        "podman", f"--root={folder}/data", "--runroot=/dev/shm/run", f"--tmpdir={folder}/tmp",
        "--cgroup-manager=cgroupfs", "--events-backend=none",
        "system", "service", "--time=0", f"unix://{folder}/engine.sock",
    ]  # fmt: skip


class PrivateEngine:
    """An engine with its containers, in namespaces of its own."""

    def __init__(self, folder: Path, command: Sequence[str], megabytes: int = 400) -> None:
        self._folder = folder
        self._command = command
        self.url = f"unix://{folder}/engine.sock"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = (folder / "log").open("ab")
        # The first process of the namespaces ends with us, and all others end with it. It takes
        # no notice of the dead, so that none of them is left standing.
        holder = (
            "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
            "print('ready', flush=True); sys.stdin.read()"
        )
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc",
             sys.executable, "-I", "-c", holder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise OSError(self.last_words())
        self._first = _child(self._holder.pid)
        self._inside = ["nsenter", "-t", str(self._first), "-n", "-p", "-m"]
        (folder / "data").mkdir()
        for place, size in ((folder / "data", megabytes), (Path("/dev/shm"), 16)):
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(place)]
            subprocess.run([*self._inside, *mount], check=True)

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        self._daemon = subprocess.Popen(
            [*self._inside, *self._command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PATH": _path()},
        )
        deadline = time.monotonic() + SECONDS
        while ping(Endpoint(self.url, "DOCKER_HOST")).kind != "ok":
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise OSError(self.last_words())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon: in its own way, or (SIGKILL) at once, which leaves its children."""
        assert self._daemon is not None
        os.kill(_child(self._daemon.pid), how)
        self._daemon.wait(SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove_all(self) -> None:
        """Remove every container, as somebody else would."""
        with contextlib.closing(self.client()) as client:
            for found in client.api.containers(all=True):
                try:
                    client.api.remove_container(found["Id"], force=True)
                except APIError as error:  # it is being removed already
                    if error.status_code not in (404, 409):
                        raise

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """While this lasts, the engine has no space left."""
        filler = Path(f"/proc/{self._first}/root{self._folder}/data/filler")
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        try:
            yield
        finally:
            filler.unlink()

    def last_words(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-500:]

    def client(self) -> Any:
        """A client of the engine's own library; close it."""
        endpoint = Endpoint(self.url, "DOCKER_HOST")
        return client_of(endpoint, asked(endpoint), 20)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait(SECONDS)
        self._log.close()


def _child(pid: int) -> int:
    """The one child of a process that only waits for it; soon there if not yet."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            return int(children[0])
        time.sleep(0.01)
    raise OSError(f"process {pid} has no child")


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])


def why_no_private_engine(program: str) -> str:
    """Why none can be started here; empty when one can."""
    if os.geteuid() != 0:
        return "a private engine needs root"
    if not find_endpoint().is_default:
        return "the engine here is another machine's"
    missing = [p for p in (program, "unshare", "nsenter") if not shutil.which(p, path=_path())]
    return f"{', '.join(missing)} is not installed" if missing else ""


@contextlib.contextmanager
def private_engine(folder: Path, archive: Path, command: Sequence[str]) -> Iterator[PrivateEngine]:
    """A running engine with the image on the small base; skips where there can be none."""
    if why := why_no_private_engine(command[0]):
        pytest.skip(why)
    try:
        engine = PrivateEngine(folder, command)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no private engine can be started: {error}")
    try:
        try:
            engine.start()
        except OSError as error:
            pytest.skip(f"no private engine can be started: {error}")
        build_image(engine.url, archive)
        yield engine
    finally:
        engine.close()
