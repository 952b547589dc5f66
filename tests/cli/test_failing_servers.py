"""`planner run` against a server that refuses: one line that helps, and no key anywhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from planner_app.history import History
from tests.cli.test_run_against_a_server import planner
from tests.engine.providers import CANARY
from tests.loopback.fixtures import loopback
from tests.loopback.server import LoopbackServer, Reply

__all__ = ["loopback"]

TASK = ("run", "What is 6 * 7?", "--planner", "openai/m", "--sandbox", "unsafe-host")
TOKENS = ("--max-tokens", "100000")


def everything_in(home: Path) -> list[bytes]:
    """All that a data folder holds: each file as it is, each value of each table, each blob."""
    held = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    for path in home.glob("*.db"):
        with sqlite3.connect(path) as database:
            tables = database.execute("select name from sqlite_master where type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f'select * from "{table}"')
                held += [str(value).encode() for row in rows for value in row]
    history = History.open(home / "planner.db", create=False)
    try:
        with sqlite3.connect(home / "planner.db") as database:
            shas = [sha for (sha,) in database.execute("select sha256 from blob")]
        held += [history.get_blob(sha) for sha in shas]
    finally:
        history.close()
    assert len(held) > 20
    return held


async def test_a_key_that_a_server_sends_back_is_in_no_file_of_ours(
    loopback: LoopbackServer, planner_home: Path
) -> None:
    said = (
        f"Incorrect API key provided: {{key}} ({CANARY[:9]}***{CANARY[-4:]}), see /v1?key={{key}}"
    )
    loopback.serve("m", Reply(status=401, body={"error": {"message": said}}))
    env = {"OPENAI_API_KEY": CANARY}
    status, out, err = await planner(loopback, *TASK, *TOKENS, env=env)
    lines = err.splitlines()
    assert (status, out) == (4, "")
    assert lines[-1].startswith("planner: failed: ")
    assert "the key for openai/m was refused" in lines[-1]
    assert lines[-1].endswith("check the key of its provider")
    assert sum("was refused" in line for line in lines) == 1
    assert "Traceback" not in err
    texts = [out, err]
    status, out, err = await planner(loopback, "show", "last", "--events", env=env)
    assert status == 0, err
    texts += [out, err]
    held = [*everything_in(planner_home), *(text.encode() for text in texts)]
    assert loopback.headers[0]["authorization"] == f"Bearer {CANARY}"
    for secret in (CANARY, CANARY[:12], CANARY[-9:], f"***{CANARY[-4:]}"):
        assert not any(secret.encode() in data for data in held)


async def test_an_address_with_a_password_in_it_is_refused_without_telling_it(
    loopback: LoopbackServer,
) -> None:
    address = "http://me:secret-word@127.0.0.1/v1"
    status, _, err = await planner(loopback, *TASK, *TOKENS, env={"OPENAI_API_BASE": address})
    assert status == 1
    assert err.splitlines()[-1].endswith(
        "leave them out: the key goes into its provider's variable"
    )
    assert "secret-word" not in err
    assert "Traceback" not in err
