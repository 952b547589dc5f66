"""The promises of a session, kept by the guest as a plain local process."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from planner_app.sandbox import SandboxOptions, open_launcher
from tests.sandbox.promises_actions import *  # noqa: F403
from tests.sandbox.promises_control import *  # noqa: F403
from tests.sandbox.promises_data import *  # noqa: F403
from tests.sandbox.shared import Kind, lasting, launcher, limits, session, tools
from tests.sandbox.toolbox import Toolbox, opened, spec

__all__ = ["lasting", "launcher", "limits", "session", "tools"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def kind() -> Kind:
    return "unsafe-host"


async def test_keys_of_the_person_are_never_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PGPASSWORD"):
        monkeypatch.setenv(name, "a-secret-of-mine")
    local = await open_launcher("unsafe-host", SandboxOptions(home=tmp_path))
    try:
        async with opened(local, Toolbox()) as session:
            code = "import os; [n for n, v in os.environ.items() if 'secret' in v]"
            assert (await session.run(code)).value == "[]"
            read = "b'a-secret' in open(f'/proc/{os.getppid()}/environ', 'rb').read()"
            result = await session.run(read)
            assert result.value == "False" or result.status == "error"
    finally:
        await local.close()


def what_exists(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


async def test_a_closed_session_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    local = await open_launcher("unsafe-host", SandboxOptions(home=tmp_path))
    session = await local.open(spec(), Toolbox())
    code = (
        "import os, subprocess\n"
        "p = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "[os.getcwd(), os.getpid(), os.getppid(), p.pid]"
    )
    folder, *pids = ast.literal_eval((await session.run(code)).value or "")
    await session.close()
    await local.close()
    assert what_exists(folder, *(f"/proc/{pid}" for pid in pids)) == []
