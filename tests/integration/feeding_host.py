"""A process that opens a sandbox, says where it is, and waits to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from planner_app.sandbox import SandboxOptions, open_launcher
from tests.sandbox.toolbox import Toolbox, spec


async def main(home: str) -> None:
    launcher = await open_launcher("docker", SandboxOptions(home=Path(home), pool_size=0))
    session = await launcher.open(spec(), Toolbox())
    print(session.where, flush=True)
    await session.run("import time\nwhile True: time.sleep(1)", timeout=600)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
