"""The executors that people use now, beside ours: an environment of their own, and its figures.

python -m bench.peers     makes the environment (about 150 MB under the cache folder)

PLANNER_BENCH_PEERS names another virtual environment that has smolagents[docker] or ipybox.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUIREMENTS = ("smolagents[docker]==1.26.0", "ipybox==0.9.2", "mcp<2")
"""ipybox 0.9.2 does not start with the present mcp 2."""
GATEWAY_PACKAGES = ("jupyter-kernel-gateway", "ipykernel")
"""What the image of smolagents' DockerExecutor has; where no registry answers we add it to ours."""
VARIABLE = "PLANNER_BENCH_PEERS"
SECONDS = 300
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Ours:
    """Medians of the same run, in milliseconds."""

    ready: float
    warm: float
    output: float


def environment() -> Path:
    """The folder of the peers' virtual environment."""
    from platformdirs import user_cache_path

    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else user_cache_path("planner") / "bench-peers"


def lines(client: Any, ours: Ours, rounds: int) -> list[str]:
    """A line for each peer: its figures and how many times ours they are, or why there are none."""
    python = environment() / "bin" / "python"
    if not python.exists():
        return [f"smolagents, ipybox: not measured: nothing at {python} (make bench-peers)"]
    return [_line(name, python, client, ours, rounds) for name in ("smolagents", "ipybox")]


def _line(name: str, python: Path, client: Any, ours: Ours, rounds: int) -> str:
    from planner_app.domain.errors import PlannerError
    from planner_app.sandbox.image import ensure_image

    try:
        image = ensure_image(client, GATEWAY_PACKAGES) if name == "smolagents" else "none"
        found = _run(name, python, image, rounds)
    except (PlannerError, OSError, ValueError, subprocess.SubprocessError) as error:
        return f"{name}: not measured: {_reason(error)}"
    warm = sorted(found["warm"])
    median, p95 = statistics.median(warm), warm[int(len(warm) * 0.95)]
    ready, output = found["ready"], found["output_ms"]
    return (
        f"{name} {found['version']}: ready {ready:,.0f} ms ({ready / ours.ready:.0f} x ours); "
        f"1+1 {median:.1f} / {p95:.1f} ms ({median / ours.warm:.0f} x ours), "
        f"{found['lost']} of {len(warm) + 1} answers lost; "
        f"10 MiB of output {output:,.0f} ms ({output / ours.output:.1f} x ours), "
        f"{found['output_chars']:,} of {10 * MIB:,} characters came back "
        f"{found.get('complaint', '')}"
    ).rstrip()


def _run(name: str, python: Path, image: str, rounds: int) -> dict[str, Any]:
    script = Path(__file__).with_name("runs.py")
    done = subprocess.run(
        [str(python), str(script), name, image, str(rounds)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise ValueError(last[0] if last else f"it ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
