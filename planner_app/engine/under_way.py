"""What of one model call has gone out and come in so far: it is billed also when it is stopped."""

from __future__ import annotations

from planner_app.engine.live import LiveStream
from planner_app.models.port import Delta
from planner_app.models.tokens import estimate_tokens


class UnderWay:
    """The try of a call that is being made; what comes is handed on as live text."""

    def __init__(self, stream: LiveStream) -> None:
        self._stream = stream
        self._pieces: list[str] = []
        self.sent = False
        """A request is with the provider."""

    def begun(self) -> None:
        """A try is sent."""
        self.sent = True

    def on_delta(self, delta: Delta) -> None:
        """A piece of the reply came."""
        self._pieces.append(delta.text)
        self._stream.write(delta.kind, delta.text)

    def ended(self) -> None:
        """The try failed, and its cost is on the account; the next one begins anew."""
        self.sent = False
        self._pieces.clear()
        self._stream.restart()

    def tokens(self) -> int:
        """About how many tokens came."""
        return estimate_tokens("".join(self._pieces))
