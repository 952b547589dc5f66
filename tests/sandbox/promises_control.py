"""What a person may rely on while an action runs: tools, interrupt, timeout, reset."""

from __future__ import annotations

import asyncio

import pytest

from planner_app.sandbox.session import Launcher, Session
from tests.sandbox.toolbox import Running, Toolbox, opened, works

# -- tool calls


async def test_a_tool_answers_by_name_and_arguments(session: Session, tools: Toolbox) -> None:
    result = await session.run("echo({'a': [1, 2.5, None, 'é']}), echo(x=1, y=2), twice(3)")
    assert result.value == "({'a': [1, 2.5, None, 'é']}, 1, [3, 3])"
    assert [call.name for call in tools.calls] == ["echo"] * 4
    assert tools.calls[1].args == {"x": 1, "y": 2}
    assert len({call.action_id for call in tools.calls}) == 1
    assert tools.calls[0].action_id is not None


async def test_tools_are_importable_as_the_module_they_come_from(session: Session) -> None:
    assert (await session.run("import kit; from kit import echo as e; e(kit.echo(5))")).value == "5"
    assert "Give it back" in ((await session.run("echo.__doc__")).value or "")


async def test_threads_tasks_and_child_processes_call_tools(
    session: Session, tools: Toolbox
) -> None:
    code = """
import asyncio, os, threading
seen = []
threads = [threading.Thread(target=lambda n=n: seen.append(echo(n))) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
tasks = await asyncio.gather(*(echo_later(n) for n in range(8)), asyncio.to_thread(echo, 8))
read, write = os.pipe()
if (pid := os.fork()) == 0:
    os.write(write, str(echo(41) + 1).encode()); os._exit(0)
os.waitpid(pid, 0)
sorted(seen), tasks, os.read(read, 10)
"""
    result = await session.run(code)
    assert result.value == f"({list(range(8))}, {list(range(9))}, b'42')", result
    assert len(tools.calls) == 18


async def test_bytes_from_a_tool_arrive_as_bytes(session: Session) -> None:
    result = await session.run("b = give_bytes(3_000_000); type(b).__name__, len(b), b.count(0)")
    assert result.value == "('bytes', 3000000, 3000000)"


async def test_a_refused_call_is_a_tool_error_with_the_hosts_words(session: Session) -> None:
    result = await session.run("refuse('not this one')")
    assert result.error is not None
    assert (result.error.name, result.error.message) == ("ToolError", "not this one")
    assert "refuse('not this one')" in result.error.traceback
    code = "try:\n    refuse('again')\nexcept ToolError as e:\n    told = str(e)\ntold"
    assert (await session.run(code)).value == "'again'"


@pytest.mark.parametrize("call", ["echo()", "echo(1, 2, 3)", "echo(1, z=2)"])
async def test_wrong_arguments_are_refused_before_they_reach_the_host(
    session: Session, tools: Toolbox, call: str
) -> None:
    result = await session.run(call)
    assert result.error is not None
    assert result.error.name == "TypeError"
    assert "echo(" in result.error.message
    assert tools.calls == []


@pytest.mark.parametrize(
    "argument", ["object()", "x", "float('nan')", "'x' * 5_000_000", "{1: object}", "'\\ud800'"]
)
async def test_arguments_that_cannot_travel_are_a_clear_error(
    session: Session, argument: str
) -> None:
    result = await session.run(f"x = []; x.append(x)\necho({argument})")
    assert result.status in ("error", "ok")
    if result.status == "ok":
        assert argument == "'\\ud800'"
    await works(session)


async def test_processes_of_every_kind_can_call_tools(session: Session) -> None:
    """Forked, spawned, and started by a server: what they call is the same tool."""
    code = (
        "import multiprocessing as mp\nfrom kit import echo\nfound = []\n"
        "for kind in ('fork', 'spawn', 'forkserver'):\n"
        "    with mp.get_context(kind).Pool(2) as pool: found += pool.map(echo, [1, 2])\nfound"
    )
    assert (await session.run(code)).value == "[1, 2, 1, 2, 1, 2]"


async def test_plain_python_values_travel_as_what_they_mean(session: Session) -> None:
    code = (
        "import pathlib, datetime\necho([pathlib.Path('a/b'), {3, 1}, datetime.date(2024, 1, 2)])"
    )
    assert (await session.run(code)).value == "['a/b', [1, 3], '2024-01-02']"


async def test_an_answer_can_end_the_action_and_everything_stays(session: Session) -> None:
    code = "before = 1\nprint('said')\nfinish()\nafter = 1"
    result = await session.run(code)
    assert (result.status, result.state_lost, result.stdout) == ("ended", False, "said\n")
    assert (await session.run("before, 'after' in globals()")).value == "(1, False)"


GOES_ON = {
    "swallowed": "try:\n    finish()\nexcept BaseException:\n    pass\nwhile True: pass",
    "in a thread": "import threading; threading.Thread(target=finish).start()\nwhile True: pass",
    "in a task": "import asyncio\nasync def f(): finish()\n"
    "await asyncio.gather(f(), return_exceptions=True)\nawait asyncio.sleep(60)",
}


@pytest.mark.parametrize("name", GOES_ON)
async def test_code_that_goes_on_after_its_end_is_ended_all_the_same(
    session: Session, name: str
) -> None:
    await session.run("kept = 1")
    result = await session.run(GOES_ON[name])
    assert (result.status, result.state_lost) == ("ended", False)
    assert (await session.run("kept")).value == "1"


async def test_waiting_for_a_tool_does_not_count_as_run_time(
    session: Session, tools: Toolbox
) -> None:
    running = asyncio.create_task(session.run("wait()", timeout=0.4))
    await tools.waiting.wait()
    done, _ = await asyncio.wait({running}, timeout=1.2)
    assert not done
    tools.may_answer.set()
    assert (await running).value == "'answered'"


async def test_a_call_is_cancelled_on_the_host_when_its_action_is_stopped(
    session: Session, tools: Toolbox
) -> None:
    await session.run("kept = 1")
    running = asyncio.create_task(session.run("wait()"))
    await tools.waiting.wait()
    await session.interrupt()
    async with asyncio.timeout(20):
        result = await running
        await tools.cancelled.wait()
    assert (result.status, result.state_lost) == ("interrupted", False)
    assert (await session.run("kept")).value == "1"


async def test_a_call_is_cancelled_on_the_host_when_its_caller_dies(
    session: Session, tools: Toolbox
) -> None:
    code = (
        "import os, signal\npid = os.fork()\nif pid == 0: wait()\necho(1)\n"
        "while not os.path.exists('go'): pass\nos.kill(pid, signal.SIGKILL)\nos.waitpid(pid, 0)[1]"
    )
    running = asyncio.create_task(session.run(code))
    await tools.waiting.wait()
    await session.write_file("go", b"")
    async with asyncio.timeout(20):
        assert (await running).value == "9"
        await tools.cancelled.wait()


async def test_more_calls_than_are_served_are_refused_and_not_lost(session: Session) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
def call(n):
    try: return echo(n)
    except (ToolError, OSError): return None
with ThreadPoolExecutor(60) as pool: got = list(pool.map(call, range(300)))
all(g in (None, n) for n, g in enumerate(got)), sum(g is not None for g in got) > 30
"""
    assert (await session.run(code)).value == "(True, True)"
    assert (await session.run("echo(5)")).value == "5"


async def test_a_stream_of_calls_does_not_stop_the_clock(session: Session) -> None:
    code = """
import threading, time
def call():
    while True: echo(1)
for _ in range(4): threading.Thread(target=call, daemon=True).start()
while True: time.sleep(0.01)
"""
    async with asyncio.timeout(20):
        assert (await session.run(code, timeout=0.3)).status == "timeout"


# -- interrupt, timeout, reset

BUSY = {
    "a busy loop": "while True: pass",
    "a sleep": "import time; time.sleep(60)",
    "asyncio": "import asyncio; await asyncio.sleep(60)",
    "a busy task": "import asyncio\nasync def f():\n    while True: pass\nawait f()",
    "a join": "import threading; t = threading.Thread(target=threading.Event().wait, daemon=True);"
    " t.start(); t.join()",
    "a child process": "import subprocess, sys; subprocess.run(['sleep', '60'])",
    "a program waited for in C": "import os; os.system('sleep 60')\nwhile True: pass",
    "a pool of processes": "import multiprocessing as mp, time\n"
    "with mp.get_context('fork').Pool(2) as pool: pool.map(time.sleep, [60, 60])",
    "a big sum": "sum(1 for _ in iter(int, 1))",
    "displays": "class P: _repr_png_ = lambda self: bytes(300_000)\nwhile True: display(P())",
}


@pytest.mark.parametrize("name", BUSY)
async def test_an_interrupt_stops_it_and_keeps_the_state(session: Session, name: str) -> None:
    await session.run("kept = 1")
    running = Running(session, f"print('on', flush=True)\n{BUSY[name]}")
    await running.begun()
    await session.interrupt()
    result = await running.result()
    assert (result.status, result.state_lost) == ("interrupted", False), result
    assert (await session.run("kept")).value == "1"


@pytest.mark.parametrize("call", ["time.sleep(60)", "await asyncio.sleep(60)", "wait()"])
async def test_an_interrupt_shows_the_line_that_was_waiting(session: Session, call: str) -> None:
    code = f"import asyncio, time\nprint('on', flush=True)\n{call}"
    running = Running(session, code)
    await running.begun()
    await asyncio.sleep(0.05)
    await session.interrupt()
    result = await running.result()
    assert result.error is not None
    assert f"line 3, in <module>\n    {call}" in result.error.traceback
    assert "guest" not in result.error.traceback


async def test_code_that_catches_its_interrupt_may_finish_in_its_own_way(session: Session) -> None:
    code = (
        "import time\ntry:\n    print('on', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt: x = 1"
    )
    running = Running(session, code)
    await running.begun()
    await session.interrupt()
    result = await running.result()
    assert (result.status, result.state_lost) == ("ok", False)
    assert "told to stop" in result.why
    assert (await session.run("x")).value == "1"


async def test_an_interrupt_during_an_import_leaves_it_repeatable(session: Session) -> None:
    await session.write_file(
        "slow.py", b"import time\nprint('on', flush=True)\nend = time.time() + 0.2\n"
        b"while time.time() < end: pass\nready = 1\nwhile True: pass\n"
    )  # fmt: skip
    running = Running(session, "kept = 1\nimport slow")
    await running.begun()
    await session.interrupt()
    result = await running.result()
    assert result.status == "interrupted"
    assert (await session.run("import json, decimal, fractions; 1")).value == "1"


async def test_the_clock_stops_an_action_and_keeps_the_state(session: Session) -> None:
    await session.run("kept = 1")
    result = await session.run("while True: pass", timeout=0.2)
    assert (result.status, result.state_lost) == ("timeout", False)
    assert result.ms >= 200
    assert (await session.run("kept")).value == "1"


@pytest.mark.parametrize(
    "code",
    [
        "import signal; signal.signal(signal.SIGINT, lambda *a: None)\nwhile True: pass",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: pass",
        "sum(range(10 ** 15))",
    ],
    ids=["handles", "ignores", "blocks", "long in C"],
)
async def test_an_action_that_does_not_stop_is_killed_and_its_loss_told(
    session: Session, code: str
) -> None:
    await session.run("gone = 1")
    async with asyncio.timeout(20):
        result = await session.run(code, timeout=0.2)
    assert (result.status, result.state_lost) == ("timeout", True), result
    assert "killed" in result.why
    await works(session)
    assert (await session.run("'gone' in globals()")).value == "False"


async def test_a_process_that_is_stopped_is_let_go_on(session: Session) -> None:
    """Nobody is there who could say `fg`."""
    await session.run("kept = 1")
    result = await session.run("import os, signal; os.kill(os.getpid(), signal.SIGSTOP); kept")
    assert (result.status, result.value, result.state_lost) == ("ok", "1", False)


async def test_an_action_that_its_process_never_began_is_begun_by_a_fresh_one(
    session: Session,
) -> None:
    thief = "import os, threading\nthreading.Thread(target=os.read, args=(200, 1)).start()"
    await session.run(thief)
    result = await session.run("1+1", timeout=0.5)
    assert (result.status, result.value, result.state_lost) == ("ok", "2", True)
    assert "before this action the session was lost" in result.why


async def test_who_cancels_the_wait_stops_the_action(session: Session) -> None:
    await session.run("kept = 1")
    running = Running(session, "print('on', flush=True)\nwhile True: pass")
    await running.begun()
    running.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running.task
    assert (await session.run("kept")).value == "1"


async def test_a_loss_that_nobody_waited_for_is_told_by_the_next_action(session: Session) -> None:
    stubborn = "import signal\nsignal.pthread_sigmask(0, range(1, 64))\nprint('on', flush=True)"
    running = Running(session, f"{stubborn}\nwhile True: pass")
    await running.begun()
    running.task.cancel()
    await asyncio.gather(running.task, return_exceptions=True)
    assert (await session.run("1+1")).state_lost


async def test_an_interrupt_among_many_tasks_does_not_come_up_again(session: Session) -> None:
    many = (
        "import asyncio\nasync def f():\n    print('on', flush=True)\n"
        "    while True: await asyncio.sleep(0)\nawait asyncio.gather(*(f() for _ in range(20)))"
    )
    for _ in range(5):
        running = Running(session, many)
        await running.begun()
        await session.interrupt()
        assert (await running.result()).status == "interrupted"
        result = await session.run("await asyncio.sleep(0, 5)")
        assert (result.status, result.value, result.stderr) == ("ok", "5", ""), result


async def test_an_interrupt_of_nothing_harms_nothing(session: Session) -> None:
    for _ in range(5):
        await session.interrupt()
    await works(session)


async def test_a_storm_of_interrupts_harms_no_later_action(session: Session) -> None:
    running = Running(session, "kept = 1\nprint('on', flush=True)\nwhile True: pass")
    await running.begun()
    await asyncio.gather(*(session.interrupt() for _ in range(50)))
    assert (await running.result()).status == "interrupted"
    for n in range(20):
        assert (await session.run(f"{n}")).value == str(n)


async def test_a_reset_forgets_variables_and_keeps_files_and_tools(session: Session) -> None:
    await session.run("gone = 1; open('stays.txt', 'w').write('x')")
    before = session.generation
    await session.reset()
    assert session.generation > before
    code = "'gone' in globals(), open('stays.txt').read(), echo(7)"
    assert (await session.run(code)).value == "(False, 'x', 7)"


async def test_many_resets_in_a_row_are_no_reason_to_give_up(session: Session) -> None:
    for _ in range(120):
        await session.reset()
    await works(session)


async def test_a_reset_in_the_middle_of_an_action_ends_it(session: Session) -> None:
    running = Running(session, "print('on', flush=True)\nwhile True: pass")
    await running.begun()
    await session.reset()
    result = await running.result()
    assert result.state_lost
    assert result.status == "died"
    await works(session)


async def test_a_process_lost_between_actions_is_told_by_the_next(session: Session) -> None:
    code = "import os, threading, time\nthreading.Timer(0.1, os._exit, [5]).start()"
    before = session.generation
    await session.run(code)
    async with asyncio.timeout(20):
        while session.generation == before:  # noqa: ASYNC110 - the port gives no event for it
            await asyncio.sleep(0.01)
    result = await session.run("1+1")
    assert (result.value, result.state_lost) == ("2", True)
    assert result.why
    assert (await session.run("1+1")).state_lost is False


async def test_threads_and_children_left_behind_do_not_speak_into_the_next_action(
    session: Session,
) -> None:
    code = "import subprocess\np = subprocess.Popen(['sleep', '1000'])\nprint('on')"
    assert (await session.run(code)).stdout == "on\n"
    assert (await session.run("print('next')")).stdout == "next\n"
    await session.reset()
    await works(session)


async def test_many_actions_in_a_row_lose_no_result(session: Session) -> None:
    for n in range(200):
        code = f"{n} * 2" if n % 3 else f"print({n}); {n}/0"
        result = await session.run(code)
        if n % 3:
            assert result.value == str(n * 2)
        else:
            assert (result.status, result.stdout) == ("error", f"{n}\n")


async def test_requests_at_the_same_time_are_served_one_after_the_other(session: Session) -> None:
    await session.run("order = []")
    results = await asyncio.gather(*(session.run(f"order.append({n}); {n}") for n in range(20)))
    assert [result.value for result in results] == [str(n) for n in range(20)]
    assert (await session.run("len(order)")).value == "20"


async def test_two_sessions_share_nothing(launcher: Launcher, session: Session) -> None:
    async with opened(launcher, Toolbox()) as other:
        await session.run("mine = 1; open('mine.txt', 'w').close()")
        result = await other.run("import os; 'mine' in globals(), os.path.exists('mine.txt')")
        assert result.value == "(False, False)"
