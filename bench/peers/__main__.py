"""Makes the environment of the executors that the sandbox is compared with."""

from __future__ import annotations

import subprocess
import sys

from bench.peers import REQUIREMENTS, environment


def main() -> int:
    """Make the environment. Exit 0, or 4 with the reason."""
    folder = environment()
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            print(f"bench-peers: {' '.join(command[:4])} failed: the bench goes without them")
            return 4
    print(f"bench-peers: smolagents and ipybox are in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
