"""Everything that a session does, once, for an engine that is new to us."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

from planner_app.sandbox import Limits, SandboxOptions, Session, open_launcher
from planner_app.sandbox.limits import MIB
from tests.sandbox.toolbox import Running, Toolbox, opened, spec, works

SECONDS = 60.0
LIMITS = Limits(
    memory_bytes=256 * MIB,
    pids=128,
    output_bytes=16 * MIB,
    grace_seconds=0.5,
    action_seconds=30,
)
AROUND = """
import os, pathlib
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
def writable(place):
    try: open(place + '/x', 'w').close(); return True
    except OSError: return False
{
    'uid': os.getresuid(), 'caps': int(status['CapEff'], 16),
    'no new': status['NoNewPrivs'].strip(),
    'nets': [n for n in os.listdir('/sys/class/net') if n.startswith(('eth', 'en'))]
            if os.path.exists('/sys/class/net') else [],
    'writable': [p for p in ('/', '/etc', '/opt', '/var/tmp', '/run', '/root', '/workspace', '/tmp')
                 if writable(p)],
}
"""


async def serves_all(home: Path, **options: Any) -> None:
    """Actions, tools, 10 MB of output, interrupt, kill, reset, files, a warm pool, an end."""
    launcher = await open_launcher(
        "docker", SandboxOptions(home=home, pool_size=1, limits=LIMITS, **options)
    )
    try:
        async with asyncio.timeout(SECONDS):
            async with opened(launcher, Toolbox(), spec(limits=LIMITS)) as session:
                await _acts(session)
                await _stops(session)
                await _keeps_files(session)
            assert session.gone
            async with opened(launcher, Toolbox(), spec(limits=LIMITS)) as session:
                await works(session)
    finally:
        await launcher.close()


async def _acts(session: Session) -> None:
    await works(session)
    called = await session.run("[echo(n) for n in range(5)]")
    assert called.value == "[0, 1, 2, 3, 4]", called
    told = await session.run("import sys\nfor n in range(100): sys.stdout.write('x' * 100_000)")
    assert (len(told.stdout), told.dropped_bytes) == (10_000_000, 0)


async def _stops(session: Session) -> None:
    running = Running(session, "y = 1\nprint('on', flush=True)\nwhile True: pass")
    await running.begun()
    await session.interrupt()
    assert (await running.result()).status == "interrupted"
    assert (await session.run("y")).value == "1"
    lost = await session.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert (lost.status, lost.state_lost) == ("died", True)
    await session.reset()
    await works(session)


async def _keeps_files(session: Session) -> None:
    await session.write_file("a.bin", bytes(3_000_000))
    assert await session.read_file("a.bin", 4_000_000) == bytes(3_000_000)


async def holds_all(home: Path) -> None:
    """An ordinary user without powers, network or places to write; memory, disk, processes."""
    launcher = await open_launcher("docker", SandboxOptions(home=home, pool_size=0))
    try:
        async with asyncio.timeout(SECONDS):
            async with opened(launcher, Toolbox(), spec(limits=LIMITS)) as session:
                await _is_held(session)
    finally:
        await launcher.close()


async def _is_held(session: Session) -> None:
    result = await session.run(AROUND)
    around = ast.literal_eval(result.value or "None")
    assert around == {
        "uid": (1000, 1000, 1000),
        "caps": 0,
        "no new": "1",
        "nets": [],
        "writable": ["/workspace", "/tmp"],
    }, around
    hungry = await session.run("x = bytearray(1 << 30)")
    assert hungry.status == "error" or hungry.oom, hungry
    await works(session)
    full = await session.run("open('big', 'wb').write(bytes(200_000_000))")
    assert full.error is not None
    assert full.error.name == "OSError"
    many = await session.run(
        "import subprocess\nfor n in range(300): subprocess.Popen(['sleep', '60'])", timeout=5
    )
    assert many.status == "error", many
    await session.reset()
    await works(session)
