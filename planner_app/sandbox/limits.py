"""What one sandbox may use: plain numbers that the launchers turn into flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from planner_app.domain.errors import BadInput
from planner_app.settings_limits import MEMORY_FOR_FILES, RULES, settle

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. The defaults suit data work on a small machine."""

    memory_bytes: int = GIB
    """Memory of all processes together, tmpfs included; swap is never added."""
    cpus: float = 1.0
    """CPUs' worth of time per second."""
    pids: int = 128
    """Processes and threads together."""
    tmp_bytes: int = 64 * MIB
    """Size of /tmp."""
    workspace_bytes: int = 256 * MIB
    """Size of the workspace."""
    inodes: int = 20_000
    """Files and folders in the workspace, and as many in /tmp."""
    action_seconds: float = 120.0
    """Run time of one action; waiting for a tool's answer does not count."""
    grace_seconds: float = 2.0
    """How long an interrupted action may take to stop before it is killed."""
    output_bytes: int = MIB
    """Output of one action that is forwarded as it comes (stdout and stderr together)."""
    tail_bytes: int = 8 * KIB
    """What is kept of the end of an output over the cap, per stream."""
    result_chars: int = 20_000
    """Longest value or traceback; longer ones are summarised."""

    def __post_init__(self) -> None:
        for rule in RULES.values():
            number = float(getattr(self, rule.field))
            least, most = rule.read(rule.least), rule.read(rule.most)
            if not math.isfinite(number) or not least <= number <= most:
                raise BadInput(
                    f"the sandbox limit {rule.field} must lie between {rule.least} and"
                    f" {rule.most}, not {number:g}",
                    f'for example "{rule.example}"',
                )

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Limits:
        """Limits by their names in the settings: numbers, or texts with a unit ("512m", "90s").

        Raises BadInput with the limit's name and an example.
        """
        fractions = ("cpus", "action_seconds", "grace_seconds")
        numbers = settle(values).items()
        return cls(**{n: number if n in fractions else int(number) for n, number in numbers})  # type: ignore[arg-type]

    def file_bytes(self) -> tuple[int, int]:
        """Sizes of /tmp and the workspace, made smaller alike where the memory is too small."""
        part, whole = MEMORY_FOR_FILES
        room, wanted = self.memory_bytes * part // whole, self.tmp_bytes + self.workspace_bytes
        shrink = min(1.0, room / wanted)
        return max(int(self.tmp_bytes * shrink), MIB), max(int(self.workspace_bytes * shrink), MIB)
