"""Carries tool calls from the code inside to the host and the replies back.

A call is one connection to a unix socket, so that threads, coroutines and child processes can all
call. Nothing a caller does may block the supervisor or cost it more than a bounded memory.
"""

from __future__ import annotations

from _socket import AF_UNIX, socket
from time import monotonic

from .frames import MAX_CALL_BYTES, Message, Parser, ProtocolError, pack
from .loop import Loop, Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONNECTIONS = 96
MAX_IN_FLIGHT = 32
MAX_IN_FLIGHT_BYTES = 2 << 20
MAX_UNREAD_BYTES = 32 << 20
UNREAD_SECONDS = 5.0
"""How long a reply may wait for a caller that does not read it."""


class Connection:
    """One caller."""

    def __init__(self, relay: Relay, loop: Loop, sock: socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.call: int | None = None
        """The number of its call that the host works on."""
        self.held_by: int | None = None
        """The operation whose clock stands still for the call."""
        self.size = 0
        """Bytes of JSON in its call."""
        self.answered_at: float | None = None
        self._relay = relay
        self._loop = loop
        self._parser = Parser(MAX_CALL_BYTES, 0)
        self._outbox = Outbox(loop, sock.fileno(), self._drop, self._wrote)
        loop.on_readable(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            data = self.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        try:
            for message, _ in self._parser.feed(data):
                if self.call is not None:
                    raise ProtocolError("one call per connection")
                self.size = self._parser.json_size
                self._relay.accept_call(self, message)
                if self.answered_at is not None:
                    return
        except ProtocolError as error:
            limit = MAX_CALL_BYTES
            self.answer({"ok": False, "error": f"call refused: {error} (limit {limit} bytes)"})

    def answer(self, message: Message, blob: bytes = b"") -> None:
        """Send the reply. Nothing more is read, and the connection ends once it is written."""
        if self.answered_at is None and self.sock.fileno() >= 0:
            self.answered_at = monotonic()
            self._loop.on_readable(self.sock.fileno(), None)
            self._outbox.push(pack(message, blob))
            if self._outbox.size:
                self._relay.await_reader()

    def _wrote(self) -> None:
        if self.answered_at is not None and not self._outbox.size:
            self._drop()

    @property
    def unread(self) -> int:
        return self._outbox.size

    def _drop(self) -> None:
        self._relay.drop(self)

    def close(self) -> None:
        self._outbox.close()
        self._loop.on_readable(self.sock.fileno(), None)
        self.sock.close()


class Relay:
    """All callers of this container."""

    def __init__(
        self,
        loop: Loop,
        address: str,
        forward: Callable[[int, Message], int | None],
        cancel: Callable[[int, int | None], None],
    ) -> None:
        """`forward` sends a call to the host and says which operation it holds up, if any."""
        self._loop = loop
        self._forward = forward
        self._cancel = cancel
        self._connections: list[Connection] = []
        self._calls: dict[int, Connection] = {}
        self._last = 0
        self._unread_timer = loop.timer(self._drop_unread)
        self._listener = socket(AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(256)
        self._listener.setblocking(False)
        loop.on_readable(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock = socket(fileno=self._listener._accept()[0])
        except OSError:
            return  # the caller gave up, or descriptors are short: it will try again or fail
        if len(self._connections) >= MAX_CONNECTIONS:
            idle = next((c for c in self._connections if c.call is None), None)
            if idle is None:
                sock.close()
                return
            self.drop(idle)  # half-open for the longest time
        self._connections.append(Connection(self, self._loop, sock))

    def accept_call(self, connection: Connection, message: Message) -> None:
        """A whole request has come. Raises ProtocolError."""
        name, args = message.get("name"), message.get("args")
        if not isinstance(name, str) or not isinstance(args, dict) or len(name) > 200:
            raise ProtocolError("a call has a name and arguments")
        if len(self._calls) >= MAX_IN_FLIGHT:
            error = f"too many tool calls at once (at most {MAX_IN_FLIGHT})"
            connection.answer({"ok": False, "error": error})
            return
        if sum(c.size for c in self._calls.values()) + connection.size > MAX_IN_FLIGHT_BYTES:
            error = "too much data in the tool calls under way: make them one after the other"
            connection.answer({"ok": False, "error": error})
            return
        self._last += 1
        connection.held_by = self._forward(self._last, {"name": name, "args": args})
        connection.call = self._last
        self._calls[self._last] = connection

    def reply(self, call: int, message: Message, blob: bytes) -> int | None:
        """Hand the host's answer to its caller; the operation that the call held up, if any."""
        connection = self._calls.pop(call, None)
        if connection is None:
            return None  # the caller has gone
        connection.call = None
        if sum(c.unread for c in self._connections) + len(blob) > MAX_UNREAD_BYTES:
            message, blob = {"ok": False, "error": "too many replies that nobody reads"}, b""
        connection.answer(message, blob)
        return connection.held_by

    def await_reader(self) -> None:
        """A caller has not read its whole reply yet: it has a while to do so."""
        self._unread_timer.at = self._unread_timer.at or monotonic() + UNREAD_SECONDS

    def _drop_unread(self) -> None:
        now = monotonic()
        waiting = [c for c in self._connections if c.answered_at is not None and c.unread]
        for connection in waiting:
            if (
                connection.answered_at is not None
                and connection.answered_at + UNREAD_SECONDS <= now
            ):
                self.drop(connection)
        if any(c.unread for c in self._connections):
            self._unread_timer.at = now + UNREAD_SECONDS

    def drop(self, connection: Connection) -> None:
        """End a connection; a call that is under way is cancelled."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        connection.close()
        if connection.call is not None:
            self._calls.pop(connection.call, None)
            self._cancel(connection.call, connection.held_by)

    def drop_all(self) -> None:
        """The callers have been killed."""
        for connection in list(self._connections):
            self.drop(connection)
