"""A missing engine is set up where that is allowed, and else explained: never a traceback.

The machine is a stand-in: a folder of programs (apt-get, dockerd, unshare) that behave as told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from planner_app.sandbox import engine_setup
from planner_app.sandbox.engine_setup import EngineState, check_engine, ensure_engine

DAEMON = """#!{python}
import os, socket, sys
with open({starts!r}, "a") as starts:
    starts.write(" ".join(sys.argv[1:]) + "\\n")
if {dies_without!r} not in " ".join(sys.argv):
    sys.exit("iptables: Permission denied")
with open({pid_file!r}, "w") as pid_file:
    pid_file.write(str(os.getpid()))
server = socket.socket(socket.AF_UNIX)
server.bind({socket!r})
server.listen()
body = b'{{"Version": "1.2.3"}}'
while True:
    connection, _ = server.accept()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    connection.close()
"""


@dataclass
class Machine:
    """A stand-in for the parts of a machine that the set-up touches."""

    folder: Path
    lines: list[str] = field(default_factory=list)
    """What the set-up said."""

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def starts(self) -> list[str]:
        """The flags of each start of the daemon."""
        file = self.folder / "starts"
        return file.read_text().splitlines() if file.exists() else []

    def has(self, name: str, script: str = "exit 0") -> None:
        program = self.programs / name
        program.write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def has_dockerd(self, dies_without: str = "") -> None:
        """A daemon that answers; with `dies_without`, only when it gets that flag."""
        self.has("dockerd", self.daemon(dies_without))

    def daemon(self, dies_without: str = "") -> str:
        return DAEMON.format(
            python=sys.executable,
            starts=str(self.folder / "starts"),
            pid_file=str(self.folder / "docker.pid"),
            socket=str(self.folder / "docker.sock"),
            dies_without=dies_without,
        )

    def set_up(self) -> EngineState:
        return ensure_engine(self.lines.append)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Root on Debian, with nothing installed."""
    world = Machine(tmp_path)
    world.programs.mkdir()
    monkeypatch.setenv("PATH", str(world.programs))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-client"))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    socket = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setattr("planner_app.sandbox.engine_endpoint.DEFAULT_SOCKET", socket)
    for name, place in {
        "LOCK_FILE": tmp_path / "lock",
        "LOG_FILE": tmp_path / "log",
        "PID_FILE": tmp_path / "docker.pid",
        "SYSTEMD": tmp_path / "no-systemd",
        "SYSTEM_FOLDERS": (),
    }.items():
        monkeypatch.setattr(engine_setup, name, place)
    world.has("unshare")
    yield world
    if (tmp_path / "docker.pid").exists():
        os.kill(int((tmp_path / "docker.pid").read_text()), 9)


def test_an_installed_engine_is_started_and_answers(machine: Machine) -> None:
    machine.has_dockerd()
    state = machine.set_up()
    assert state == EngineState(True, state.endpoint, version="1.2.3", started=True)
    assert check_engine().ok


def test_an_engine_that_answers_is_left_alone(machine: Machine) -> None:
    machine.has_dockerd()
    machine.set_up()
    again = machine.set_up()
    assert again.ok
    assert not again.started
    assert machine.starts == [""]


def test_two_set_ups_at_once_start_one_daemon(machine: Machine) -> None:
    machine.has_dockerd()
    states: list[EngineState] = []
    setups = [threading.Thread(target=lambda: states.append(machine.set_up())) for _ in range(4)]
    for setup in setups:
        setup.start()
    for setup in setups:
        setup.join()
    assert [state.ok for state in states] == [True] * 4
    assert machine.starts == [""]


def test_a_missing_engine_is_installed_from_the_distribution(machine: Machine) -> None:
    daemon = machine.folder / "daemon"
    daemon.write_text(machine.daemon())
    daemon.chmod(0o755)
    target = machine.programs / "dockerd"
    machine.has("apt-get", f'echo "$@" >> {machine.folder}/apt; /bin/cp {daemon} {target}')
    assert machine.set_up().started
    asked = (machine.folder / "apt").read_text()
    assert "install --no-install-recommends docker.io iptables" in asked
    assert asked.count("\n") == 1, "the package lists are fetched only when they are needed"


def test_a_daemon_that_dies_is_tried_with_simpler_flags(machine: Machine) -> None:
    machine.has_dockerd(dies_without="--storage-driver=vfs")
    assert machine.set_up().ok
    assert len(machine.starts) == 3
    assert "--iptables=false" in machine.starts[1]


def test_a_daemon_that_always_dies_is_quoted(machine: Machine) -> None:
    machine.has_dockerd(dies_without="a flag that nobody gives")
    state = machine.set_up()
    assert not state.ok
    assert "iptables: Permission denied" in state.why
    assert "log" in state.fix


def test_apt_that_refuses_is_quoted(machine: Machine) -> None:
    machine.has("apt-get", 'echo "E: Unable to locate package docker.io" >&2; exit 100')
    state = machine.set_up()
    assert not state.ok
    assert "Unable to locate package docker.io" in state.why


def test_a_machine_without_apt_is_told_what_to_do(machine: Machine) -> None:
    state = machine.set_up()
    assert "not Debian or Ubuntu" in state.why
    assert state.fix


def test_a_person_who_is_not_root_is_told_what_to_do(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_dockerd()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    state = machine.set_up()
    assert "only root" in state.why
    assert machine.starts == []


def test_a_locked_down_container_installs_nothing(machine: Machine) -> None:
    machine.has("unshare", "exit 1")
    machine.has("apt-get", f"echo called >> {machine.folder}/apt")
    assert "no right" in machine.set_up().why
    assert not (machine.folder / "apt").exists()


def test_a_read_only_system_is_no_traceback(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_dockerd()
    monkeypatch.setattr(engine_setup, "LOCK_FILE", machine.folder / "no-such-folder" / "lock")
    state = machine.set_up()
    assert "none can be set up" in state.why


def test_a_chosen_engine_that_is_down_is_never_replaced(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_dockerd()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{machine.folder}/elsewhere.sock")
    state = machine.set_up()
    assert not state.ok
    assert "DOCKER_HOST" in state.fix
    assert machine.starts == []


def test_a_daemon_that_hangs_is_not_joined_by_a_second_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("dockerd", "#!/bin/sh\nexec /bin/sleep 600")
    hanging = subprocess.Popen(["/bin/sh", "-c", "read x; : dockerd"], stdin=subprocess.PIPE)
    (machine.folder / "docker.pid").write_text(str(hanging.pid))
    monkeypatch.setattr(engine_setup, "START_SECONDS", 0.2)
    state = machine.set_up()
    hanging.communicate(b"\n")
    (machine.folder / "docker.pid").unlink()
    assert "does not answer" in state.why


def test_the_command_says_two_lines_and_exits_4(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "planner_app.sandbox.engine_setup"]
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/closed.sock"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert done.stdout == ""
    why, fix = done.stderr.splitlines()
    assert "closed.sock" in why
    assert fix.startswith("engine: to do: ")
