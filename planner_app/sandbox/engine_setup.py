"""Bring up a container engine where none answers: find it, else install and start Docker.

Standard library only, since it runs before anything is installed:
`python -m planner_app.sandbox.engine_setup` (exit 0 when an engine answers, else 4 and two lines
on stderr: why, and what to do). Nothing here raises for what a machine refuses: every refusal is
an `EngineState` that says so.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from planner_app.sandbox.engine_endpoint import Endpoint, Ping, find_endpoint, ping

Say = Callable[[str], None]

LOCK_FILE = Path("/run/planner-dockerd.lock")
LOG_FILE = Path("/var/log/planner-dockerd.log")
SYSTEMD = Path("/run/systemd/system")
PID_FILE = Path("/var/run/docker.pid")
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where system programs are, which a user's path may lack."""
ENGINE_PACKAGES = ("docker.io", "iptables")
NOT_FOUND = 127
START_SECONDS = 40.0
"""How long a started daemon may take to answer; 10 s is usual."""

FLAG_LADDER: tuple[tuple[str, ...], ...] = (
    (),
    ("--iptables=false", "--ip6tables=false", "--bridge=none"),
    ("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
)
"""Daemon flags, tried in turn while it dies. Sandboxes have no network, so a daemon without a
bridge serves them as well; vfs is slow but runs on any filesystem."""

FIX_NO_ENGINE = (
    "install and start Docker (apt-get install docker.io), or point DOCKER_HOST at an engine"
)


@dataclass(frozen=True, slots=True)
class EngineState:
    """Whether an engine can be used, and if not, why and what a person can do."""

    ok: bool
    endpoint: str
    """Address of the engine, as DOCKER_HOST would name it."""
    version: str = ""
    """The engine's own version; empty when it does not answer or does not tell."""
    started: bool = False
    """True when this call started the daemon."""
    why: str = ""
    """Why no engine can be used, in one line; empty when ok."""
    fix: str = ""
    """What to do about it, in one line; empty when ok."""


@dataclass(frozen=True, slots=True)
class AptResult:
    """How an installation by apt-get ended."""

    ok: bool
    why: str = ""
    """The first error apt printed, or why it was not tried."""


def check_engine() -> EngineState:
    """Ask the engine once, start nothing. About 2 ms on a local socket."""
    endpoint = find_endpoint()
    answer = ping(endpoint)
    state = _state_of(endpoint, answer)
    if not _may_be_set_up(endpoint, answer):
        return state
    return _refusal(endpoint) or replace(state, fix=f"planner doctor --fix, or {state.fix}")


def ensure_engine(say: Say = lambda _: None) -> EngineState:
    """Return a usable engine, after installing and starting one where that is allowed.

    A daemon is started only when no address was chosen by the person (DOCKER_HOST, a context),
    nothing listens on the default socket, and this is root on Debian or Ubuntu. A lock keeps two
    set-ups apart, because a second dockerd removes the first one's bridge.
    """
    endpoint = find_endpoint()
    answer = ping(endpoint)
    if not _may_be_set_up(endpoint, answer):
        return _state_of(endpoint, answer)
    refusal = _refusal(endpoint)
    if refusal is not None:
        return refusal
    try:
        with _only_one(LOCK_FILE):
            answer = ping(endpoint)
            if answer.kind == "ok":  # another set-up was faster
                return _state_of(endpoint, answer)
            return _install_and_start(endpoint, say)
    except OSError as error:  # a read-only system, for one
        why = f"no container engine answers, and none can be set up: {error}"
        return EngineState(False, endpoint.url, why=why, fix=FIX_NO_ENGINE)


def apt_install(packages: Sequence[str], say: Say = lambda _: None) -> AptResult:
    """Install Debian packages without their recommendations; refresh the lists when needed.

    Returns why not, instead of raising, when this is not root, apt is absent, or apt fails.
    """
    if os.geteuid() != 0:
        return AptResult(False, "not root")
    if shutil.which("apt-get") is None:
        return AptResult(False, "apt-get is not on the path")
    options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::http::Timeout=30"]
    install = ["apt-get", *options, "install", "--no-install-recommends", *packages]
    say(f"installing {', '.join(packages)} (about 20 s)")
    first = _apt(install)
    if first.ok:
        return first
    refreshed = _apt(["apt-get", *options, "update"])
    again = _apt(install)
    return again if again.ok or refreshed.ok else refreshed


def _apt(command: list[str]) -> AptResult:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return AptResult(False, str(error))
    if done.returncode == 0:
        return AptResult(True)
    errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return AptResult(False, errors[0][2:].strip() if errors else f"exit {done.returncode}")


def _state_of(endpoint: Endpoint, answer: Ping) -> EngineState:
    if answer.kind == "ok":
        version = f"{answer.version} (Podman)" if answer.is_podman else answer.version
        return EngineState(True, endpoint.url, version=version)
    if answer.kind == "denied":
        fix = "run as root, or join the engine's group: usermod -aG docker $USER, then log in again"
    elif endpoint.is_default:
        fix = FIX_NO_ENGINE if answer.kind == "absent" else "restart the engine"
    elif endpoint.url.startswith("ssh://"):
        there = f"ssh://{urlsplit(endpoint.url).netloc}"
        here = "/tmp/engine.sock"  # noqa: S108 - an example, which the person changes
        fix = f"ssh -fNT -L {here}:/var/run/docker.sock {there}, and DOCKER_HOST=unix://{here}"
    else:
        fix = f"start that engine, or unset {endpoint.origin} to use the local one"
    return EngineState(False, endpoint.url, why=answer.why, fix=fix)


def _may_be_set_up(endpoint: Endpoint, answer: Ping) -> bool:
    """Whether nobody chose an engine, and none is there."""
    return endpoint.is_default and answer.kind == "absent"


def _refusal(endpoint: Endpoint) -> EngineState | None:
    """Why an engine may not be set up on this machine; None when it may."""
    none = "no container engine answers, and "
    if not sys.platform.startswith("linux"):
        why, fix = "one can only be set up on Linux", "install and start Docker Desktop or Colima"
    elif os.geteuid() != 0:
        why, fix = "only root can set one up", FIX_NO_ENGINE
    elif _dockerd() is None and shutil.which("apt-get") is None:
        why, fix = "this is not Debian or Ubuntu (no apt-get)", FIX_NO_ENGINE
    elif not _may_mount():
        why = "this container has no right to run one"
        fix = "start it with the host's /var/run/docker.sock mounted, or with DOCKER_HOST set"
    else:
        return None
    return EngineState(False, endpoint.url, why=none + why, fix=fix)


def _may_mount() -> bool:
    """Whether the kernel lets us do what every container needs: a mount namespace.

    Without it a daemon starts and answers, but can unpack no image.
    """
    return _quietly(["unshare", "--mount", "true"]) in {0, NOT_FOUND}


def _quietly(command: Sequence[str]) -> int:
    """Exit code of a small program whose words nobody needs; NOT_FOUND when it does not exist."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return NOT_FOUND
    return done.returncode


def _dockerd() -> str | None:
    return shutil.which("dockerd", path=_daemon_path())


def _daemon_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold an exclusive file lock; the kernel frees it if this process dies."""
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _install_and_start(endpoint: Endpoint, say: Say) -> EngineState:
    if _dockerd() is None:
        installed = apt_install(ENGINE_PACKAGES, say)
        if not installed.ok:
            why = f"no container engine answers, and apt could not install one: {installed.why}"
            return EngineState(False, endpoint.url, why=why, fix=FIX_NO_ENGINE)
    if SYSTEMD.is_dir():
        say("starting the docker service (about 10 s)")
        _quietly(["systemctl", "start", "docker"])
    if _is_coming_up():  # the package's own service, or one that is still starting
        answer = _wait_for(endpoint, START_SECONDS, lambda: not _is_coming_up())
        if answer.kind == "ok":
            return EngineState(True, endpoint.url, version=answer.version, started=True)
        if _is_coming_up():  # a second one beside it would break both
            return _state_of(endpoint, Ping("silent", "dockerd runs, but does not answer"))
    return _climb_ladder(endpoint, say)


def _climb_ladder(endpoint: Endpoint, say: Say) -> EngineState:
    """Start the daemon with ever fewer wishes, until one stays."""
    last_words = ""
    for flags in FLAG_LADDER:
        shown = f" with {' '.join(flags)}" if flags else ""
        say(f"starting dockerd{shown} (about 10 s, log in {LOG_FILE})")
        answer, last_words = _start_dockerd(endpoint, flags)
        if answer.kind == "ok":
            return EngineState(True, endpoint.url, version=answer.version, started=True)
    why = f"dockerd does not run on this machine: {last_words}"
    return EngineState(
        False, endpoint.url, why=why, fix=f"read {LOG_FILE}, or point DOCKER_HOST at an engine"
    )


def _is_coming_up() -> bool:
    """Whether a daemon that does not answer yet is alive, by the pid file it writes first."""
    try:
        pid = int(PID_FILE.read_text().strip())
        return "dockerd" in Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):  # never started, or gone
        return False


def _start_dockerd(endpoint: Endpoint, flags: Sequence[str]) -> tuple[Ping, str]:
    """Start the daemon in a session of its own and wait; its last error line when it dies."""
    with LOG_FILE.open("ab") as log:
        log_start = log.seek(0, os.SEEK_END)
        daemon = subprocess.Popen(
            ["dockerd", *flags],
            executable=_dockerd(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={**os.environ, "PATH": _daemon_path()},
        )
    answer = _wait_for(endpoint, START_SECONDS, lambda: daemon.poll() is not None)
    if answer.kind != "ok" and daemon.poll() is None:
        _stop(daemon)
    return answer, _last_error(LOG_FILE, log_start)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """End a daemon of our own that never answered, so that the next one has the machine alone."""
    daemon.terminate()
    try:
        daemon.wait(15)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _wait_for(endpoint: Endpoint, seconds: float, gave_up: Callable[[], bool]) -> Ping:
    """Ask the engine every 100 ms until it answers, `gave_up()` holds, or time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ping(endpoint)
        if answer.kind == "ok" or gave_up() or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def _last_error(log: Path, start: int) -> str:
    with log.open("rb") as handle:
        handle.seek(start)
        lines = handle.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it ended without a word"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: ensure an engine (`--check`: only ask), report on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m planner_app.sandbox.engine_setup", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--check", action="store_true", help="only ask, start nothing")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(f"engine: {line}", file=sys.stderr, flush=True)

    state = check_engine() if options.check else ensure_engine(say)
    if state.ok:
        if state.started:
            say(f"version {state.version} answers at {state.endpoint}")
        return 0
    say(state.why)
    say(f"to do: {state.fix}")
    return 4


if __name__ == "__main__":
    raise SystemExit(main())
