"""The real command line in a process of its own, with a home of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted_replies import Reply

import planner_app

ROOT = Path(planner_app.__file__).parent.parent
PROGRAM = (sys.executable, "-m", "planner_app")
Planner = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """The test's environment, with the package found from any folder."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that commands are typed in."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def planner(folder: Path) -> Planner:
    """`planner ARGS`: exit code, stdout and stderr. Further keywords are variables."""

    def run(*args: str, stdin: str | bytes = "", **env: str) -> subprocess.CompletedProcess[str]:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [*PROGRAM, *args],
            cwd=folder,
            env={**environment(), **env},
            input=data,
            capture_output=True,
            check=False,
            timeout=100,
        )
        return subprocess.CompletedProcess(
            args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


@pytest.fixture
def typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Planner:
    """The same within this process, for commands whose start and end are not the point."""
    from planner_app.cli.main import main

    monkeypatch.chdir(folder)

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            code = main(args)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, out, err)

    return run


class OnTerminal:
    """A command at a terminal of its own: what it says there, and what it prints to stdout."""

    def __init__(self, args: tuple[str, ...], folder: Path, stdin: Path | None) -> None:
        self._screen, inside = pty.openpty()
        given = inside if stdin is None else os.open(stdin, os.O_RDONLY)
        self._process = subprocess.Popen(
            [*PROGRAM, *args],
            cwd=folder,
            env={**environment(), "TERM": "xterm"},
            stdin=given,
            stderr=inside,
            stdout=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(inside, termios.TIOCSCTTY, 0),
        )
        for fd in {inside, given}:
            os.close(fd)
        self.said = ""
        self._read = 0

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Read until the text was said, after what was waited for last."""
        deadline = time.monotonic() + seconds
        while (found := self.said.find(text, self._read)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was never said:\n{self.said}"
            if select.select([self._screen], [], [], left)[0]:
                try:
                    data = os.read(self._screen, 65536)
                except OSError:  # the program has ended
                    data = b""
                assert data, f"it ended without saying {text!r}:\n{self.said}"
                self.said += data.decode("utf-8", "replace")
        self._read = found + len(text)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def press_ctrl_c(self) -> None:
        os.write(self._screen, b"\x03")

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(20)

    def end(self) -> tuple[int, str]:
        """Exit code and stdout, once it has ended."""
        while self._process.poll() is None or select.select([self._screen], [], [], 0)[0]:
            if select.select([self._screen], [], [], 0.05)[0]:
                try:
                    data = os.read(self._screen, 65536)
                except OSError:
                    break
                self.said += data.decode("utf-8", "replace")
        assert self._process.stdout is not None
        out = self._process.stdout.read().decode()
        return self._process.wait(60), out

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        os.close(self._screen)


@pytest.fixture
def at_terminal(folder: Path) -> Iterator[Callable[..., OnTerminal]]:
    """`planner ARGS` at a terminal."""
    started: list[OnTerminal] = []

    def start(*args: str, stdin: Path | None = None) -> OnTerminal:
        started.append(OnTerminal(args, folder, stdin))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def script(folder: Path) -> Callable[..., str]:
    """Writes scripted replies and gives the model's name."""

    def write(*replies: Reply) -> str:
        path = folder / "script.jsonl"
        path.write_text("\n".join(json.dumps(reply) for reply in replies), encoding="utf-8")
        return "scripted:script.jsonl"

    return write


@pytest.fixture
def worker_is_stopped(planner: Planner) -> Iterator[None]:
    """No worker outlives the test that started it."""
    yield
    planner("worker", "stop")
