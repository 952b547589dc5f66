"""What a person may rely on from an action, in any sandbox: values, output, errors, state.

The functions take `session`, `tools` and `launcher` from the module that imports them.
"""

from __future__ import annotations

import pytest

from planner_app.sandbox.limits import Limits
from planner_app.sandbox.session import Launcher, Session
from tests.sandbox.toolbox import Toolbox, opened, spec, works


async def test_variables_functions_and_imports_stay_from_action_to_action(session: Session) -> None:
    await session.run("import math\nx = 20\ndef f(n): return n + x\nclass C: pass")
    result = await session.run("math.floor(f(1.5)), C.__module__")
    assert (result.status, result.value) == ("ok", "(21, '__main__')")
    assert result.value_type == "tuple"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1+1", "2"),
        ("x = 5\nx", "5"),
        ("x = 5", None),
        ("None", None),
        ("5;", None),
        ("", None),
        ("# only words", None),
        ("'text'", "'text'"),
        ("if True:\n    5", None),
        ("a = b = 3; a + b", "6"),
        ("'\\ud800'", "'\\ud800'"),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", "'slept'"),
        ("t = __import__('asyncio').create_task(__import__('asyncio').sleep(0, 7)); await t", "7"),
        ("x = 1\r\ny = 2\r\nx + y\r\n", "3"),
        ("if 1:\n\tx = 3\nx", "3"),
        ("\ufeff1+1", "2"),
    ],
)
async def test_the_last_expression_is_the_value(
    session: Session, code: str, value: str | None
) -> None:
    result = await session.run(code)
    assert (result.status, result.value) == ("ok", value)


async def test_the_last_value_stays_as_underscore(session: Session) -> None:
    await session.run("41 + 1")
    assert (await session.run("_ + 1")).value == "43"


async def test_output_of_both_streams_comes_as_it_is_written_and_whole(session: Session) -> None:
    heard: list[tuple[str, str]] = []
    code = (
        "import sys\nprint('out é 漢')\nprint('err', file=sys.stderr)\nsys.stdout.write('no line')"
    )
    result = await session.run(code, on_output=lambda stream, text: heard.append((stream, text)))
    assert (result.stdout, result.stderr) == ("out é 漢\nno line", "err\n")
    assert "".join(text for stream, text in heard if stream == "stdout") == result.stdout
    assert "".join(text for stream, text in heard if stream == "stderr") == result.stderr


async def test_output_of_child_processes_belongs_to_the_action(session: Session) -> None:
    code = (
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'print(\"from a child\")'])\n"
        "os.write(1, b'from the descriptor')"
    )
    result = await session.run(code)
    assert "from a child" in result.stdout
    assert "from the descriptor" in result.stdout


async def test_output_over_the_cap_keeps_its_beginning_and_end_and_says_what_is_missing(
    launcher: Launcher, tools: Toolbox
) -> None:
    limits = Limits(output_bytes=10_000, tail_bytes=1000)
    async with opened(launcher, tools, spec(limits=limits)) as session:
        result = await session.run("print('begin' + 'x' * 200_000 + 'end')")
        assert result.status == "ok"
        assert result.stdout.startswith("begin")
        assert result.stdout.rstrip().endswith("end")
        assert "left out" in result.stdout
        assert result.dropped_bytes == 200_009 - 11_000
        assert f"{result.dropped_bytes:,}" in result.stdout
        assert (await session.run("print('next')")).stdout == "next\n"


async def test_ten_megabytes_of_output_under_the_cap_lose_nothing(
    launcher: Launcher, tools: Toolbox
) -> None:
    limits = Limits(output_bytes=12 << 20)
    async with opened(launcher, tools, spec(limits=limits)) as session:
        result = await session.run("for i in range(10_000): print(f'{i:05}' + 'x' * 1018)")
        lines = result.stdout.splitlines()
        assert [int(line[:5]) for line in lines] == list(range(10_000))
        assert result.dropped_bytes == 0


async def test_an_error_shows_the_actions_own_lines_and_nothing_else(session: Session) -> None:
    code = "def f(n):\n    return 1 / n\n\ntry:\n    f(0)\nexcept ZeroDivisionError:\n    {}['k']"
    result = await session.run(code)
    assert result.status == "error"
    assert result.error is not None
    assert (result.error.name, result.error.message) == ("KeyError", "'k'")
    told = result.error.traceback
    for line in ("return 1 / n", "f(0)", "{}['k']", "line 2", "line 7", "ZeroDivisionError"):
        assert line in told
    assert "guest" not in told
    assert "\x1b" not in told
    assert result.state_lost is False


async def test_an_error_in_a_function_of_an_earlier_action_shows_its_lines(
    session: Session,
) -> None:
    await session.run("def deep(n):\n    raise LookupError('here')")
    result = await session.run("deep(1)")
    assert result.error is not None
    assert "raise LookupError('here')" in result.error.traceback


ODD_ERRORS = {
    "Red": "raise type('\\x1b[31mRed', (Exception,), {})('\\x1b]0;t\\x07\\x9b31mred')",
    "N" * 200: "raise type('N' * 10_000_000, (Exception,), {})",
    "Silent": """
class Silent(Exception):
    def __str__(self): raise SystemExit
raise Silent
""",
    "Odd": """
class Text(str): encode = __len__ = __contains__ = None
class Odd(Exception):
    def __str__(self): return Text('said')
raise Odd
""",
    "ValueError": """
e = None
for n in range(2000):
    try: raise ValueError(n) from e
    except ValueError as raised: e = raised
raise e
""",
}


@pytest.mark.parametrize("name", ODD_ERRORS, ids=lambda name: name[:10])
async def test_an_error_with_ways_of_its_own_is_told_all_the_same(
    session: Session, name: str
) -> None:
    result = await session.run(ODD_ERRORS[name])
    assert result.error is not None
    assert result.error.name == name
    for sign in ("\x1b", "\x9b"):
        assert sign not in result.error.message + result.error.traceback
    assert "raise" in result.error.traceback
    assert result.state_lost is False


async def test_what_was_done_before_an_error_stays(session: Session) -> None:
    await session.run("done = 1\nprint('said')\n1/0")
    assert (await session.run("done")).value == "1"


async def test_an_error_in_a_task_or_group_shows_its_parts(session: Session) -> None:
    code = "raise ExceptionGroup('many', [ValueError('one'), TypeError('two')])"
    result = await session.run(code)
    assert result.error is not None
    assert "ValueError: one" in result.error.traceback
    assert "TypeError: two" in result.error.traceback


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("1 +", "SyntaxError"),
        ("x = '\0'", "SyntaxError"),
        ("if 1:\n\tx = 1\n        y = 2", "TabError"),
        ("if 1:\nx = 1", "IndentationError"),
        ("return 5", "SyntaxError"),
        ("(" * 5000 + ")" * 5000, None),
        ("-" * 200_000 + "1", None),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise type('Mine', (BaseException,), {})('own')", "Mine"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import nothing_of_this_name", "ModuleNotFoundError"),
    ],
    ids=lambda part: repr(part)[:30],
)
async def test_code_that_cannot_run_is_an_error_and_costs_no_state(
    session: Session, code: str, name: str | None
) -> None:
    await session.run("kept = 1")
    result = await session.run(code)
    assert result.status == "error"
    assert result.error is not None
    if name is not None:
        assert result.error.name == name
    assert (await session.run("kept")).value == "1"


async def test_a_syntax_error_points_at_its_place(session: Session) -> None:
    result = await session.run("ok = 1\nbad = = 2")
    assert result.error is not None
    assert "bad = = 2" in result.error.traceback
    assert "^" in result.error.traceback


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("x = 1\n\x0c\n1/0", "line 3, in <module>\n    1/0"),
        ("x = 'a\u2028b' # \x85\n1/0", "line 2, in <module>\n    1/0"),
        ("x = 1\r\ny = 2\r\n1/0\r\n", "line 3, in <module>\n    1/0"),
        ("x = 1\ry = 2\r1/0", "line 3, in <module>\n    1/0"),
        ("\ufeff1/0", "line 1, in <module>\n    1/0"),
        ("x = 1\nreturn 5", "line 2\n    return 5"),
        ("def f():\n    global y\n    y: int = 1", "line 3\n    y: int = 1"),
        ("exec('def g():\\n    1/0\\ng()')", "line 1, in <module>\n    exec("),
    ],
    ids=lambda part: repr(part)[:30],
)
async def test_an_error_shows_the_line_that_python_counts(
    session: Session, code: str, line: str
) -> None:
    result = await session.run(code)
    assert result.error is not None
    assert line in result.error.traceback


async def test_a_number_too_long_to_be_written_is_told_with_its_size(session: Session) -> None:
    result = await session.run("10 ** 100_000")
    assert result.value is not None
    assert "int, about 100,001 digits" in result.value


async def test_exit_ends_the_action_and_breaks_nothing(session: Session) -> None:
    assert (await session.run("kept = 1; exit()")).status == "exit"
    result = await session.run("import sys; help(len); sys.stdin.closed, kept")
    assert (result.status, result.value) == ("ok", "(False, 1)")
    assert "len(obj, /)" in result.stdout


async def test_a_long_text_runs(session: Session) -> None:
    result = await session.run("# " + "x" * 400_000 + "\nlen('ran')")
    assert (result.status, result.value) == ("ok", "3")


@pytest.mark.parametrize("megabytes", [5, 9])
async def test_a_text_beyond_measure_is_refused_with_what_to_do(
    session: Session, megabytes: int
) -> None:
    result = await session.run("# " + "x" * (megabytes << 20))
    assert result.status == "error"
    assert result.error is not None
    assert "bytes" in result.error.message
    assert "file" in result.error.message
    assert result.state_lost is False
    await works(session)


async def test_reading_from_a_keyboard_is_a_clear_error(session: Session) -> None:
    for code in (
        "input('name? ')",
        "import sys; sys.stdin.read()",
        "import sys; next(sys.stdin)",
        "import sys; sys.stdin.buffer.read()",
    ):
        result = await session.run(code)
        assert result.error is not None
        assert result.error.name == "EOFError"
        assert "ask_user" in result.error.message
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()']).returncode"
    assert (await session.run(child)).value == "1"


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("'x' * 10_000_000", ["str", "10,000,000"]),
        ("b'x' * 10_000_000", ["bytes", "10,000,000"]),
        ("list(range(1_000_000))", ["list", "1,000,000"]),
        ("{n: n for n in range(1_000_000)}", ["dict", "1,000,000"]),
        ("[['x' * 1000] * 1000]", ["list", "1 long"]),
        ("10 ** 4000", ["int", "left out"]),
    ],
)
async def test_a_value_over_the_cap_is_told_with_its_type_and_size(
    launcher: Launcher, tools: Toolbox, code: str, facts: list[str]
) -> None:
    async with opened(launcher, tools, spec(limits=Limits(result_chars=2000))) as session:
        result = await session.run(code)
        assert result.status == "ok", result
        assert result.value is not None
        assert len(result.value) < 3000
        for fact in facts:
            assert fact in result.value


async def test_a_value_that_shows_itself_richly_is_displayed(session: Session) -> None:
    code = (
        "class Table:\n"
        "    def __repr__(self): return 'plain'\n"
        "    def _repr_html_(self): return '<b>rich</b>'\n"
        "Table()"
    )
    result = await session.run(code)
    assert result.value == "plain"
    assert [(d.mime, d.data) for d in result.displays] == [("text/html", b"<b>rich</b>")]
    shown = await session.run("display(Table(), 'words'); 1")
    assert shown.stdout == "plain\nwords\n"
    assert len(shown.displays) == 1


@pytest.mark.parametrize(
    "body",
    [
        "def __repr__(self): raise ValueError('no')",
        "def __repr__(self): return 5",
        "def __repr__(self): return self.__repr__()",
        "def __repr__(self): raise SystemExit",
        "def __getattribute__(self, name): raise SystemExit(name)",
        "__len__ = None; __repr__ = None",
        "def _repr_html_(self): raise SystemExit",
        "def _repr_png_(self): return 'not bytes'",
        "__class__ = property(lambda self: 1/0)",
        "def __repr__(self): return 'x' * 50_000_000",
        "def __repr__(self): return '\\ud800\\x1b[31m\\0'",
        "__repr__ = lambda self: type('S', (str,), {'encode': lambda *a: 5, '__len__': int})('x')",
        "__repr__ = lambda self: 'x' * 50_000; shape = tuple(range(300_000))",
        "_repr_png_ = lambda self: type('B', (bytes,), {'__len__': lambda s: 5})(9_000_000)",
        "__qualname__ = '\\x1b[31m' + 'x' * 10_000_000",
    ],
)
async def test_a_value_that_shows_itself_badly_harms_nothing(session: Session, body: str) -> None:
    await session.run("kept = 1")
    result = await session.run(f"class Bad:\n    {body}\nBad()")
    assert result.status == "ok", result
    assert result.value is not None
    assert len(result.value) < 50_000
    assert "\x1b" not in result.value
    assert (await session.run("kept")).value == "1"


@pytest.mark.parametrize(
    "body",
    [
        "def __str__(self): raise ValueError('no')",
        "def __str__(self): return 'x' * 50_000_000",
        "__module__ = 5",
        "def __getattribute__(self, name): raise KeyError(name)",
        "__notes__ = 5",
        "__traceback__ = property(lambda self: 1/0)",
        "__cause__ = property(lambda self: self)",
    ],
)
async def test_an_exception_that_tells_itself_badly_harms_nothing(
    session: Session, body: str
) -> None:
    await session.run("kept = 1")
    result = await session.run(f"class Bad(Exception):\n    {body}\nraise Bad('text')")
    assert result.status == "error"
    assert result.error is not None
    assert len(result.error.traceback) < 50_000
    assert (await session.run("kept")).value == "1"


async def test_sys_exit_ends_the_action_and_keeps_the_state(session: Session) -> None:
    await session.run("kept = 1")
    result = await session.run("import sys; sys.exit(3)")
    assert (result.status, result.state_lost) == ("exit", False)
    assert "3" in result.why
    assert (await session.run("kept")).value == "1"


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import os; os._exit(3)", "3"),
        ("import os; os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
    ids=["exit", "abort", "segfault", "killed"],
)
async def test_a_lost_process_is_told_with_its_reason_and_replaced(
    session: Session, code: str, word: str
) -> None:
    await session.run("gone = 1")
    before = session.generation
    result = await session.run("print('said')\n" + code)
    assert (result.status, result.state_lost) == ("died", True)
    assert word in result.why
    assert "said" in result.stdout
    await works(session)
    assert session.generation > before
    lost = await session.run("gone")
    assert lost.error is not None
    assert lost.error.name == "NameError"
    assert (await session.run("echo('tools are back')")).value == "'tools are back'"


async def test_deep_recursion_is_an_error(session: Session) -> None:
    await session.run("kept = 1")
    result = await session.run("def f(n): return f(n + 1)\nf(0)")
    assert result.error is not None
    assert result.error.name == "RecursionError"
    nested = await session.run("x = []\nfor _ in range(200_000): x = [x]\nrepr(x)")
    assert nested.status in ("error", "died")
    assert nested.status == "error" or nested.state_lost
    await works(session)


async def test_a_fork_that_comes_back_into_the_action_answers_nothing(session: Session) -> None:
    await session.run("kept = 1")
    result = await session.run("import os\npid = os.fork()\n'child' if pid == 0 else 'parent'")
    assert result.value == "'parent'"
    assert (await session.run("os.waitpid(pid, 0)[1]")).value == "0"
    assert (await session.run("kept")).value == "1"
    await works(session)


async def test_files_that_an_action_made_or_changed_are_named(session: Session) -> None:
    first = await session.run("import os\nos.mkdir('sub')\nopen('sub/a.txt', 'w').write('1');")
    assert first.files == ("sub/a.txt",)
    assert (await session.run("1")).files == ()
    second = await session.run("open('sub/a.txt', 'a').write('2'); open('b.txt', 'w').close()")
    assert set(second.files) == {"sub/a.txt", "b.txt"}


@pytest.mark.parametrize("word", ["len", "print", "compile", "open", "isinstance", "__import__"])
async def test_a_builtin_that_an_action_breaks_does_not_break_the_next(
    session: Session, word: str
) -> None:
    await session.run(f"import builtins; builtins.{word} = None")
    await works(session)
