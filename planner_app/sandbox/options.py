"""How sandboxes are made on this machine, as opposed to what one of them may use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from planner_app.sandbox.limits import Limits

APP_LABEL = "planner-app"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What a launcher needs to know."""

    home: Path
    """The data folder; containers carry its hash, and only its own are ever cleaned up."""
    image: str = ""
    """Tag of the image; empty: the one that the bundled recipe and `packages` give."""
    packages: tuple[str, ...] = ()
    """Python packages added to the image."""
    pool_size: int = 1
    """Sandboxes kept ready; 0: none."""
    parallel_starts: int = 3
    """Sandboxes that may be starting at the same time."""
    runtime: str = ""
    """An OCI runtime of the engine, such as "runsc"; empty: the engine's default."""
    preload: tuple[str, ...] = ()
    """Modules imported before the first action; costs memory in each sandbox."""
    limits: Limits = field(default_factory=Limits)
    """What the sandboxes of the pool are made for."""

    @property
    def home_label(self) -> str:
        """Names this data folder without telling where it is."""
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:16]
