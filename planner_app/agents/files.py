"""How the files that came with a task are named to a model: all of a few, the first of many."""

from __future__ import annotations

from planner_app.domain.state import RunState

MAX_LISTED = 60
"""Files that a prompt names; an action can look for the others."""


def file_lines(state: RunState) -> list[str]:
    """A line for each file with its size and its number as a source; the last counts the rest."""
    numbers = {s.sha256: n for n, s in state.sources.items() if s.kind == "attachment"}
    lines = []
    for file in state.attachments[:MAX_LISTED]:
        n = numbers.get(file.sha256)
        source = f" = source [{n}]" if n is not None else ""
        lines.append(f"{file.name} ({file.bytes:,} bytes){source}")
    if rest := state.attachments[MAX_LISTED:]:
        known = [numbers[file.sha256] for file in rest if file.sha256 in numbers]
        sources = f", sources [{min(known)}] to [{max(known)}] in this order" if known else ""
        lines.append(
            f"and {len(rest):,} more, {rest[0].name} to {rest[-1].name}"
            f" ({sum(file.bytes for file in rest):,} bytes{sources}): list them with os.walk"
        )
    return lines
