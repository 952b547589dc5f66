"""What an executor reads of an action that ran: output, value, error, figures, files, in bounds."""

from __future__ import annotations

from planner_app.domain.fences import fence_untrusted
from planner_app.sandbox.session import ActionResult

MAX_CHARS = 12_000
"""Of the whole observation; each part is cut in its middle."""
_ENDED = {
    "ok": "The action ran.",
    "ended": "The action ended to wait for the person.",
    "exit": "The action called exit; the session goes on.",
}
_STOPPED = {
    "interrupted": "The person stopped the action.",
    "timeout": "The action took too long and was stopped.",
    "died": "The action's process ended.",
}


def observation_text(result: ActionResult, turn: int) -> str:
    """The observation as the model gets it, marked as data: it may hold web content."""
    return f"{_headline(result)}\n{fence_untrusted(observation_body(result), f'action {turn}')}"


def observation_body(result: ActionResult) -> str:
    """What came back, without the marks around it."""
    parts = []
    if result.why and result.status not in _STOPPED:
        parts.append(f"Note: {result.why}")
    if result.stdout:
        parts.append(f"Output:\n{cut_middle(result.stdout, MAX_CHARS // 2)}")
    if result.stderr:
        parts.append(f"Error output:\n{cut_middle(result.stderr, MAX_CHARS // 6)}")
    if result.dropped_bytes:
        parts.append(f"({result.dropped_bytes:,} bytes of output in the middle were dropped)")
    if result.value is not None:
        parts.append(f"Value: {cut_middle(result.value, MAX_CHARS // 4)}")
    if result.error is not None:
        parts.append(f"Error:\n{cut_middle(result.error.traceback, MAX_CHARS // 3)}")
    parts += _shown(result)
    if result.files:
        parts.append(f"Files written: {', '.join(result.files[:30])}")
    return "\n".join(parts) or "(no output)"


def _shown(result: ActionResult) -> list[str]:
    tables = [d for d in result.displays if d.mime == "text/plain"]
    lines = [
        f"Display:\n{cut_middle(d.data.decode('utf-8', 'replace'), MAX_CHARS // 4)}" for d in tables
    ]
    images = sum(d.mime.startswith("image/") for d in result.displays)
    if images:
        lines.append(f"({images} figure{'s' if images > 1 else ''} shown to the person)")
    return lines


def _headline(result: ActionResult) -> str:
    oom = " It used more memory than it has." if result.oom else ""
    if result.status in _STOPPED:
        why = f" ({result.why})" if result.why else ""
        lost = " Its variables are gone: the session starts anew." if result.state_lost else ""
        return f"{_STOPPED[result.status]}{why}{oom}{lost}"
    head = _ENDED.get(result.status, "The action failed.")
    if result.status == "error" and result.error is not None:
        head = f"The action failed with {result.error.name}."
    lost = " The variables of earlier actions are gone." if result.state_lost else ""
    return f"{head}{oom}{lost}"


def cut_middle(text: str, limit: int) -> str:
    """The text, or its first and last parts with the count of what is missing between them."""
    if len(text) <= limit:
        return text
    head, tail = limit * 2 // 3, limit // 3
    return f"{text[:head]}\n... {len(text) - head - tail:,} characters left out ...\n{text[-tail:]}"
