"""The one way to the trees that travel with the program but are no Python packages of it.

`tools/` (what the model can call) and `sandbox/` (what runs inside the container) lie at the root
of a checkout; in an installed program the wheel put them into this folder. Neither is ever on the
import path of the host.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from planner_app.domain.errors import Missing

_HERE = Path(__file__).resolve().parent


def bundled_dir(name: Literal["tools", "sandbox"]) -> Path:
    """The folder of a bundled tree, as real files.

    A copy inside this package wins: it exists in an installed program only. Raises `Missing` when
    the installation lacks the tree.
    """
    installed = _HERE / name
    if installed.is_dir():
        return installed
    checkout = _HERE.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise Missing(f"the installation lacks its '{name}' folder", "install planner-app again")
