"""PID 1 of the container: owns the host's stream, runs no code of others, outlives all of it.

It installs no handler for any signal that could end it, so that the kernel shields it as PID 1;
it never waits for the worker, a caller or the host, so that none of them can hold it up.
"""

from __future__ import annotations

import os
import sys
from _signal import (  # type: ignore[import-not-found]  # signal is slow to import
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGINT,
    set_wakeup_fd,
)
from _signal import signal as set_handler
from time import monotonic, sleep

from .child import Child
from .config import Place
from .frames import (
    MAX_JSON_FROM_HOST,
    MAX_JSON_TO_HOST,
    PROTOCOL,
    Message,
    Parser,
    ProtocolError,
    pack,
)
from .jobs import Jobs
from .loop import Loop, Outbox
from .operation import Operation
from .processes import (
    ContainerProcesses,
    LocalProcesses,
    Processes,
    count_oom_kills,
    describe_end,
    look_at_children,
)
from .quiet import suppress
from .relay import Relay
from .streams import DAMAGED_EXIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MAX_WAITING_FOR_HOST = 1 << 20
"""Above this many unsent bytes nothing more is read from the worker."""
REPEAT_INTERRUPT = 0.1
BEGIN_GRACES, BEGIN_LEAST = 4, 1.0
"""How long a worker that has nothing else to do may take to begin what it was given: so many
graces, and no less than so many seconds."""
PATIENCE = 0.6
"""Part of the grace that is left when the processes are ended that an action waits for."""
FORK_TRIES = 50
MAX_DEATHS = 6
RESET = "it was reset"
LOST: Message = {"t": "result", "status": "died", "state_lost": True}
WORKER_REQUESTS = ("exec", "bind", "stage", "bind_pickle", "export", "pickle", "take")


def _number(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) else default


class Supervisor:
    """Reads frames from the host and from the worker until the host goes away."""

    def __init__(self, place: Place, from_host: int, to_host: int) -> None:
        self._place = place
        self._from_host = from_host
        os.set_blocking(from_host, False)
        os.set_blocking(to_host, False)
        self._loop = Loop()
        self._host = Outbox(self._loop, to_host, self._leave, self._unpause)
        self._parser = Parser(MAX_JSON_FROM_HOST, shallow=False)
        self._processes: Processes = ContainerProcesses() if place.contained else LocalProcesses()
        self._watch_signals()
        self._deadline = self._loop.timer(self._time_is_up)
        self._again = self._loop.timer(self._interrupt_again)
        self._kill = self._loop.timer(self._kill_stubborn)
        self._begin = self._loop.timer(self._look_whether_begun)
        self._relay = Relay(
            self._loop, place.tool_address, self._forward_call, self._call_cancelled
        )
        self._jobs = Jobs(self._loop, place, self.send)
        self._operation: Operation | None = None
        self._configuration: Message = {"t": "configure", "id": 0}
        self._generation = 0
        self._setup_key = ""
        """Of the configuration that a restarted worker works on; empty when it has done so."""
        self._deaths = 0
        """Workers in a row that ended before they had served anything."""
        self._paused = False
        self._oom_kills = count_oom_kills()
        self._alone = False
        """The processes that the operation started have been ended already."""
        self._files_moved = False
        self._request: tuple[Message, bytes] = ({}, b"")
        """What the operation was begun with."""
        self._past_key = ""
        """Of the operation before."""
        self._child: Child

    def _watch_signals(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        set_wakeup_fd(write, warn_on_full_buffer=False)
        set_handler(SIGCHLD, lambda *_: None)  # only so that the wakeup is written
        set_handler(SIGINT, SIG_IGN)
        self._signals = read
        self._loop.on_readable(read, self._children_changed)

    def serve(self) -> NoReturn:
        """Work until the host closes the stream."""
        self.send(
            {
                "t": "hello",
                "protocol": PROTOCOL,
                "python": sys.version.split()[0],
                "contained": self._place.contained,
            }
        )
        self._start_child()
        self._loop.on_readable(self._from_host, self._read_host)
        while True:
            self._loop.turn()

    # -- the host's side

    def send(self, message: Message, blob: bytes | bytearray | memoryview = b"") -> None:
        """Raises ProtocolError for more than the host would take."""
        self._host.push(pack(message, blob, MAX_JSON_TO_HOST))
        if not self._paused and self._host.size > MAX_WAITING_FOR_HOST:
            self._paused = True
            self._child.pause(True)
            self._jobs.pause(True)

    def _unpause(self) -> None:
        if self._paused and self._host.size <= MAX_WAITING_FOR_HOST // 2:
            self._paused = False
            self._child.pause(False)
            self._jobs.pause(False)

    def _leave(self) -> NoReturn:
        """The host is gone. In a container the kernel ends everything with PID 1."""
        if not self._place.contained:
            self._processes.end_all(self._child.pid)
        os._exit(0)

    def _read_host(self) -> None:
        try:
            data = os.read(self._from_host, 1 << 18)
        except BlockingIOError:
            return
        if not data:
            self._leave()
        try:
            for message, blob in self._parser.feed(data):
                self._serve_host(message, blob)
        except ProtocolError as error:
            self.send({"t": "fatal", "why": str(error)})
            self._leave()

    def _serve_host(self, message: Message, blob: bytes) -> None:
        kind, number = message.get("t"), message.get("id")
        if kind in WORKER_REQUESTS and isinstance(number, int):
            self._start_operation(number, message, blob)
        elif kind == "configure" and isinstance(number, int):
            self._configuration = {**message, "id": 0}
            self._start_operation(number, message, blob)
        elif kind == "interrupt":
            if self._operation and number in (None, self._operation.number):
                self._stop_operation("interrupt")
        elif kind == "reset":
            self._deaths = 0  # it did not die of itself
            self._restart(RESET)
        elif kind == "reply" and isinstance(number, int):
            self._hand_reply(number, message, blob)
        elif kind == "ping":
            self.send({"t": "pong", "n": message.get("n")})
        elif kind in ("job", "chunk", "eof", "credit", "stop") and isinstance(number, int):
            self._files_moved = self._files_moved or kind == "job"
            self._jobs.serve(number, message, blob)
        elif kind == "bye":
            self._leave()
        else:
            raise ProtocolError(f"unknown frame {kind!r:.50}")

    # -- operations of the worker

    def _start_operation(self, number: int, message: Message, blob: bytes) -> None:
        if self._operation is not None:
            self.send({"t": "result", "id": number, "status": "busy"})
            return
        seconds = message.get("timeout")
        limits = self._configuration
        operation = Operation(
            number,
            str(message.get("t")),
            _number(seconds, 0.0) if seconds is not None else None,
            _number(message.get("grace"), 2.0),
            int(_number(limits.get("output_bytes"), 1 << 20)),
            int(_number(limits.get("tail_bytes"), 8192)),
        )
        self._operation = operation
        self._deadline.at = operation.clock.deadline
        self._begin.at = monotonic() + max(BEGIN_LEAST, BEGIN_GRACES * operation.grace)
        if self._files_moved and message.get("t") == "exec":
            message["rescan"] = True
            self._files_moved = False
        message["key"] = operation.key
        self._request = message, blob
        self._child.send(message, blob)
        self._child.listen(True)

    def _look_whether_begun(self) -> None:
        """What an action left behind may hold its process up, or take away what is sent to it."""
        operation = self._operation
        if operation is None or self._child.has_begun(operation.key):
            return
        if self._setup_key or not self._child.ready:  # tool modules take their time
            self._begin.at = monotonic() + BEGIN_LEAST
        else:
            self._restart("its process did not take up the next action")

    def _stop_operation(self, cause: str) -> None:
        operation = self._operation
        if operation is None or self._kill.at is not None:
            return
        operation.cause = operation.cause or cause
        self._deadline.at = None
        now = monotonic()
        self._again.at = now + REPEAT_INTERRUPT
        self._kill.at = now + operation.grace
        self._alone = False
        self._child.interrupt(operation.key)

    def _interrupt_again(self) -> None:
        """A signal that came during an import was put off: send it until it has an effect."""
        if self._operation is not None:
            if self._kill.at is None:  # the pause after a tool's reply that ends the action
                self._stop_operation(self._operation.cause)
                return
            now = monotonic()
            if now >= self._kill.at - self._operation.grace * PATIENCE and not self._alone:
                self._alone = True  # os.system() and the like wait for a program, deaf to signals
                self._end_what_it_started(self._operation)
            self._child.interrupt(self._operation.key)
            self._again.at = now + REPEAT_INTERRUPT

    def _end_what_it_started(self, operation: Operation) -> None:
        spared = {self._child.pid, *self._jobs.pids()}
        self._processes.end_younger(operation.ms / 1e3, spared)

    def _time_is_up(self) -> None:
        self._stop_operation("timeout")

    def _kill_stubborn(self) -> None:
        self._restart("it did not stop in time and was killed")

    def _finish_operation(self, result: Message) -> None:
        operation = self._operation
        if operation is None:
            return
        self._operation = None
        self._past_key = operation.key
        self._request = {}, b""
        self._let_timers_rest()
        lost = 0
        for stream, missing, end in operation.output.last():
            lost += missing
            end_of = {"t": "out", "id": operation.number, "s": stream, "missing": missing}
            self.send(end_of, end)
        result.update(t="result", id=operation.number, ms=operation.ms, dropped=lost)
        if operation.cause:
            result["cause"] = operation.cause
            stopped = operation.cause != "end" and result.get("status") not in ("ok", "died")
            if stopped:  # as a whole
                self._end_what_it_started(operation)
        if result.get("status") != "ok":
            kills = count_oom_kills()
            result["oom"] = kills > self._oom_kills
            self._oom_kills = kills
        try:
            self.send(result)
        except ProtocolError as error:  # a forged one: the host waits for some result
            self.send({**LOST, "id": operation.number, "why": str(error)})
            raise

    def _let_timers_rest(self) -> None:
        self._deadline.at = self._again.at = self._kill.at = self._begin.at = None

    # -- the worker's side

    def _start_child(self) -> None:
        self._generation += 1
        self._deaths += 1
        for _ in range(FORK_TRIES):
            try:
                self._child = Child(
                    self._loop, self._place, self._serve_child, self._take_output, self._restart
                )
            except OSError:
                sleep(0.05)  # the dead processes' memory and numbers are given back shortly
            else:
                break
        else:
            self._give_up("no new process can be started")
        if self._deaths > MAX_DEATHS:
            self._give_up("each new process died before it had served anything")
        if self._generation > 1:
            self._setup_key = os.urandom(8).hex()
            self._child.send({**self._configuration, "key": self._setup_key})
        if self._paused:
            self._child.pause(True)

    def _give_up(self, why: str) -> NoReturn:
        self.send({"t": "fatal", "why": why})
        self._leave()

    def _serve_child(self, message: Message, blob: bytes) -> None:
        kind, operation = message.get("t"), self._operation
        key = message.pop("key", None)
        if kind == "ready" and not self._child.ready:
            self._child.ready = True
            self.send({"t": "ready", "generation": self._generation, "pid": self._child.pid})
        elif kind == "result" and self._setup_key and key == self._setup_key:
            self._setup_key = ""
            self._deaths = 0
        elif self._setup_key and key == self._setup_key:
            return  # what a tool module shows while it is loaded
        elif operation is not None and key == self._past_key and operation.kind == "exec":
            if not self._child.has_begun(operation.key):  # else it came to its end meanwhile
                self._restart("an action went on after it had forged its own result")
        elif operation is None or key != operation.key:
            raise ProtocolError("a frame that belongs to nothing")
        else:
            self._serve_operation(operation, str(kind), message, blob)

    def _serve_operation(
        self, operation: Operation, kind: str, message: Message, blob: bytes
    ) -> None:
        if kind == "result":
            self._deaths = 0
            self._child.drain()
            self._child.listen(False)
            self._finish_operation(message)
        elif kind == "display":
            if operation.may_display(len(blob)):
                mime = str(message.get("mime"))[:100]
                self.send({"t": "display", "id": operation.number, "mime": mime}, blob)
        elif (kind, operation.kind) in (("exported", "export"), ("part", "take")):
            self.send({**message, "id": operation.number}, blob)
        else:
            raise ProtocolError(f"an unexpected frame {kind!r:.50}")

    def _take_output(self, stream: str, data: bytes) -> None:
        operation = self._operation
        if operation is None:
            return
        now = operation.output.take(stream, data)
        if now:
            self.send({"t": "out", "id": operation.number, "s": stream}, now)

    def _children_changed(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._signals, 4096)
        for pid, status in look_at_children().items():
            if os.WIFSTOPPED(status):
                if pid == self._child.pid or pid in self._jobs.pids():
                    os.kill(pid, SIGCONT)  # nobody else would
            elif pid == self._child.pid:
                self._restart(describe_end(status), status)
            else:
                self._jobs.child_ended(pid, status)

    def _restart(self, why: str, status: int | None = None) -> None:
        """End whatever runs inside and start a fresh worker; the old one's state is lost.

        An action that the old one has not begun is given to the fresh one; the host hears first
        that the old one is lost.
        """
        child, request = self._child, self._request
        unbegun = self._unbegun_action() if why != RESET else None
        if unbegun is not None:
            self._operation = None
            self._let_timers_rest()
        ended = self._processes.end_all(child.pid)
        if status is None and child.pid in ended:
            status = ended[child.pid]
            if why.startswith("it closed"):
                why = describe_end(status)
        if status is not None and os.waitstatus_to_exitcode(status) == DAMAGED_EXIT:
            why = "the action damaged the session's own machinery"
        child.drain()
        child.close()
        self._jobs.children_killed()
        self._relay.drop_all()
        if self._operation is not None:
            self._finish_operation({**LOST, "why": why})
        elif why != RESET:
            kills = count_oom_kills()
            self.send({"t": "died", "why": why, "oom": kills > self._oom_kills})
            self._oom_kills = kills
        self._start_child()
        if unbegun is not None:
            self._start_operation(unbegun.number, *request)

    def _unbegun_action(self) -> Operation | None:
        """The action under way, if the worker has not begun it, and nobody wanted it to stop."""
        operation = self._operation
        if operation is None or operation.kind != "exec" or self._child.has_begun(operation.key):
            return None
        return operation if operation.cause in ("", "timeout") else None

    # -- tool calls

    def _forward_call(self, call: int, request: Message) -> int | None:
        operation = self._operation
        number = operation.number if operation is not None else None
        self.send({"t": "call", "id": call, "op": number, **request})
        if operation is not None:
            operation.clock.hold()
            self._set_deadline(operation)
        return number

    def _call_cancelled(self, call: int, held: int | None) -> None:
        self.send({"t": "cancel", "id": call})
        self._release(held)

    def _hand_reply(self, call: int, message: Message, blob: bytes) -> None:
        ends = message.get("end") is True
        reply = {name: message.get(name) for name in ("ok", "value", "error")}
        held = self._relay.reply(call, {**reply, "end": ends}, blob)
        operation = self._release(held)
        if ends and operation is not None and self._kill.at is None:
            operation.cause = "end"
            self._again.at = monotonic() + REPEAT_INTERRUPT  # for code that swallows the end

    def _release(self, held: int | None) -> Operation | None:
        operation = self._operation
        if operation is None or operation.number != held:
            return None
        operation.clock.release()
        self._set_deadline(operation)
        return operation

    def _set_deadline(self, operation: Operation) -> None:
        if self._kill.at is None:
            self._deadline.at = operation.clock.deadline
