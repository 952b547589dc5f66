"""Runs the actions, one after the other, in one lasting process under an unprivileged user.

Code of others runs in this process and can do to it what it likes; the supervisor believes
nothing it says without checking. What can be kept working cheaply is: names are bound early,
signals and descriptors are put right before each action, and the machinery tests itself when
there is a sign that it was touched.
"""

from __future__ import annotations

import sys
from _signal import (  # type: ignore[import-not-found]  # what patching `signal` leaves whole
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMER_VIRTUAL,
    SIG_BLOCK,
    SIG_SETMASK,
    SIGINT,
    pthread_sigmask,
    setitimer,
    valid_signals,
)
from _signal import signal as set_handler
from _thread import allocate_lock, get_ident
from os import _exit, getpid
from os import read as os_read
from os import write as os_write
from select import select
from sys import setprofile, setswitchinterval, settrace
from time import monotonic

from .bulletin import Bulletin
from .config import Place
from .engine import Engine
from .frames import HEADER, Message, decode, pack
from .health import watch
from .streams import DAMAGED_EXIT, Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ALL_SIGNALS = valid_signals()
IDLE_SECONDS = 0.02
SWITCH_SECONDS = 0.005
"""Python's own: how long another thread may compute until this one is let go on."""


class Channel:
    """Blocking frames over the control socket."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def receive(self) -> tuple[Message, bytes]:
        json_size, blob_size = HEADER.unpack(self._exactly(8))
        return decode(self._exactly(json_size)), self._exactly(blob_size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                piece = os_read(self.fd, size - len(data))
            except BaseException:  # raised here by what an earlier action left behind
                continue
            if not piece:
                _exit(0)  # the supervisor is gone
            data = data + piece if data else piece
        return data

    def send(self, message: Message, blob: bytes | bytearray | memoryview = b"") -> None:
        data = memoryview(pack(message, blob))
        while data:
            data = data[os_write(self.fd, data) :]


class Interrupts:
    """Turns SIGINT into KeyboardInterrupt where that can do no lasting harm."""

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self._pid = getpid()
        self._key = ""
        """Of the operation under way."""
        self.running = False
        self.engine: Engine | None = None
        self._grace = 2.0
        self._held = False
        """True while the main thread writes a frame, which must not be cut off."""
        self._missed = False
        """A signal came meanwhile."""
        self._raised: KeyboardInterrupt | None = None
        """The latest of the action."""
        self._first: float | None = None
        self._last: float | None = None

    def arm(self, key: str, grace: float) -> None:
        """Before an action: whatever the one before did to the signal is undone.

        A signal that waits for this moment to end the process ends it before the action is begun,
        which then another process begins.
        """
        self._key = key
        self._grace = grace
        self._first = self._last = None
        self._missed = False
        set_handler(SIGINT, self._on_signal)
        pthread_sigmask(SIG_SETMASK, ())
        self._bulletin.begin(key)

    def rest(self) -> None:
        """After an action: its timers, handlers and hooks must not run between actions."""
        settrace(None)
        setprofile(None)
        setswitchinterval(SWITCH_SECONDS)
        self._raised = None
        pthread_sigmask(SIG_BLOCK, ALL_SIGNALS)
        for timer in (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF):
            setitimer(timer, 0)

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        """Raises KeyboardInterrupt if it was put off."""
        self._held = False
        if self._missed:
            self._missed = False
            self._on_signal(SIGINT, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if getpid() != self._pid:  # a forked child, which has no sight of the bulletin
            raise KeyboardInterrupt
        if not self.running:
            return
        if self._held:
            self._missed = True
            return
        if not self._bulletin.is_to_stop(self._key):
            return  # not the supervisor's: some process of an action sends it
        now = monotonic()
        if self._was_swallowed():
            self._last = None
        if self._first is None:
            self._first = now
        if self._last is not None and now - self._last < self._grace * 0.45:
            return  # let except and finally blocks run
        if now - self._first < self._grace * 0.75 and _importing(frame):
            return  # a half-done import cannot be repeated; the signal comes again
        self._last = now
        _interrupt_awaited_program(frame)
        self._raised = None
        if self.engine is not None and self.engine.cancel_task(frame):
            return
        self._raised = KeyboardInterrupt()
        raise self._raised

    def _was_swallowed(self) -> bool:
        """Whether the latest one came into no Python code: a file that is let go closes in C."""
        traceback = self._raised.__traceback__ if self._raised is not None else None
        return traceback is not None and traceback.tb_next is None

    def note_unraisable(self, told: sys.UnraisableHookArgs) -> None:
        """What is raised in a finaliser, or around a fork(), is swallowed, too."""
        if told.exc_value is not None and told.exc_value is self._raised:
            self._last = None  # the next signal, which comes shortly, raises it again
        else:
            sys.__unraisablehook__(told)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _interrupt_awaited_program(frame: FrameType | None) -> None:
    """As a terminal's Ctrl-C: the program that the action waits for gets the signal, too.

    Without it `subprocess.run` waits another quarter of a second for its end.
    """
    for _ in range(6):
        if frame is None:
            return
        if frame.f_code.co_filename.endswith("/subprocess.py"):
            program = frame.f_locals.get("self")
            if program is not None and getattr(program, "returncode", 0) is None:
                program.send_signal(SIGINT)
                return
        frame = frame.f_back


class Worker:
    """Serves the supervisor's requests until it is killed."""

    def __init__(self, place: Place, control_fd: int, bulletin: Bulletin) -> None:
        self._pid = getpid()
        self._channel = Channel(control_fd)
        self._streams = Streams()
        self._interrupts = Interrupts(bulletin)
        self._engine = Engine(place, self._show)
        self._interrupts.engine = self._engine
        sys.unraisablehook = self._interrupts.note_unraisable
        self._key: object = None
        self._warm = False
        self._sending = allocate_lock()
        self._main_thread = get_ident()

    def _send(self, message: Message, blob: bytes | bytearray | memoryview) -> None:
        """A frame that belongs to the running request; from any thread, whole or not at all."""
        if getpid() != self._pid:
            return  # a forked child of the action shows nothing
        is_main = get_ident() == self._main_thread
        if is_main:
            self._interrupts.hold()
        try:
            with self._sending:
                if self._interrupts.running:  # else the result has gone already
                    self._channel.send({**message, "key": self._key}, blob)
        finally:
            if is_main:
                self._interrupts.release()

    def _show(self, mime: str, data: bytes) -> None:
        self._send({"t": "display", "mime": mime}, data)

    def _warm_up_when_idle(self) -> None:
        """Imports that the first error needs: while nobody waits, so not before a request."""
        if not select([self._channel.fd], (), (), IDLE_SECONDS)[0]:
            self._warm = True
            self._engine.warm_up()

    def _lasting(self) -> dict[object, tuple[str, ...]]:
        """What is never replaced for as long as this process lives."""
        return {
            self: ("_channel", "_streams", "_interrupts", "_engine"),
            self._channel: ("fd",),
            self._interrupts: ("engine", "_bulletin"),
            self._streams: ("_pipes",),
            **self._engine.lasting(),
        }

    def serve(self) -> None:
        """Work until the end."""
        channel, interrupts, pid = self._channel, self._interrupts, self._pid
        channel.send({"t": "ready"})
        holds: Callable[[bool], bool] | None = None
        while True:
            if not self._warm:
                self._warm_up_when_idle()
            message, blob = channel.receive()
            if holds is None and message.get("t") != "configure":  # before any code of others
                holds = watch(self._engine, self._lasting())
            self._key = message.get("key")
            grace = message.get("grace")
            result: Message | None = None
            try:
                try:
                    interrupts.running = True
                    interrupts.arm(
                        str(self._key), float(grace) if isinstance(grace, int | float) else 2.0
                    )
                    result = self._perform(message, blob)
                    self._streams.flush()
                finally:
                    interrupts.running = False
                    interrupts.rest()
            except KeyboardInterrupt:
                error_of = {"name": "KeyboardInterrupt", "message": "", "traceback": ""}
                result = result or {"status": "interrupted", "error": error_of}
            except BaseException as error:
                result = {"status": "engine", "why": f"{type(error).__name__}"}
            if getpid() != pid:
                _exit(0)  # a fork() of the action that came back here
            self._streams.restore()
            if holds is not None and not holds(result.get("status") == "engine"):
                _exit(DAMAGED_EXIT)
            if result.get("status") == "engine":
                text = f"the session failed on this action ({result.pop('why')})"
                error_of = {"name": "SandboxError", "message": text, "traceback": text}
                result.update(status="error", error=error_of)
            result.update(t="result", key=self._key)
            with self._sending:
                channel.send(result)
            self._engine.let_go()
            if message.get("t") == "configure":
                self._engine.get_settled()
                holds = watch(self._engine, self._lasting())

    def _perform(self, message: Message, blob: bytes) -> Message:
        engine, kind = self._engine, message.get("t")
        if kind == "exec":
            return engine.run_action(blob, rescan=message.get("rescan") is True)
        if kind == "configure":
            return engine.configure(message)
        if kind == "bind":
            return engine.state.bind(message.get("values"))
        if kind == "stage":
            return engine.state.stage(blob, anew=message.get("anew") is True)
        if kind == "bind_pickle":
            return engine.state.bind_staged(str(message.get("name")))
        if kind == "export":
            return engine.state.export(message.get("names"), self._send)
        if kind == "pickle":
            return engine.state.pickle(str(message.get("name")), message.get("max_bytes"))
        if kind == "take":
            return engine.state.take(self._send)
        return {"status": "error"}
