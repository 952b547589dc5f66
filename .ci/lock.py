"""Write the lock files: exact versions with hashes for every Python and machine we run on.

No address of an index goes into them. The sandbox's lock is for the Python inside the image.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (
    ("requirements.lock", "3.11", ["pyproject.toml"]),
    (
        "requirements-dev.lock",
        "3.11",
        ["pyproject.toml", "--all-extras", "-c", "requirements.lock"],
    ),
    ("sandbox/requirements.txt", "3.13", ["sandbox/requirements.in"]),
)
COMMON = ["--universal", "--generate-hashes", "--no-header", "--quiet"]


def main() -> int:
    """Write all, or stop at the first that does not resolve. Arguments go to uv (`--upgrade`)."""
    for target, python, source in LOCKS:
        command = [find_uv_bin(), "pip", "compile", *COMMON, "--python-version", python, *source]
        command += ["--output-file", target, *sys.argv[1:]]
        environment = {**os.environ, "UV_NO_CONFIG": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
