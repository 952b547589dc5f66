"""What a person may rely on for what goes in and out: variables, files, folders, seeds."""

from __future__ import annotations

import asyncio
import io
import pickle
import tarfile
from collections.abc import AsyncIterator

import pytest

from planner_app.sandbox.session import (
    BindFailed,
    FileTooLarge,
    Launcher,
    Session,
    TransferFailed,
)
from tests.sandbox.toolbox import Toolbox, opened, spec, works


async def feed(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


# -- variables


async def test_values_become_variables_and_inputs(session: Session) -> None:
    await session.bind({"n": 3, "rows": [{"a": 1.5}, None], "text": "é\n", "big": "x" * 2_000_000})
    result = await session.run("n, rows, text, len(big), sorted(inputs)")
    assert result.value == r"(3, [{'a': 1.5}, None], 'é\n', 2000000, ['big', 'n', 'rows', 'text'])"


@pytest.mark.parametrize("name", ["not a name", "", "a-b", "1a", "../x", "a\n"])
async def test_a_name_that_is_no_variable_is_refused(session: Session, name: str) -> None:
    with pytest.raises(BindFailed):
        await session.bind({name: 1})
    await works(session)


async def test_a_value_too_large_to_bind_is_refused(session: Session) -> None:
    with pytest.raises(BindFailed, match="large"):
        await session.bind({"x": "x" * (5 << 20)})
    await works(session)


async def test_plain_values_leave_as_json_and_others_as_pickles(session: Session) -> None:
    await session.run(
        "a = {'k': [1, 2.5, None, 'é']}; b = {1: 2}; c = (1, 2)\n"
        "d = float('nan'); e = 'x' * 100_000"
    )
    found = await session.export(["a", "b", "c", "d", "e", "none"])
    assert list(found) == ["a", "b", "c", "d", "e", "none"]
    assert found["a"].kind == "json"
    assert found["a"].value == {"k": [1, 2.5, None, "é"]}
    assert [found[name].kind for name in "bcde"] == ["pickle"] * 4
    assert found["c"].type_name == "tuple"
    assert "2 long" in found["c"].summary
    assert found["none"].kind == "missing"


async def test_what_cannot_leave_says_why(session: Session) -> None:
    code = "import threading\nlock = threading.Lock(); big = bytes(2_000_000)\n"
    code += (
        "class Bad:\n    def __reduce__(self): raise SystemExit('no')\nbad = Bad()\n"
        "def x(): pass\nclass Own: pass\nown = [Own()]"
    )
    await session.run(code)
    whys = {
        "lock": "lock",
        "big": "1,048,576",
        "bad": "no",
        "x": "x was made",
        "own": "Own was made",
    }
    for name, word in whys.items():
        with pytest.raises(BindFailed, match=word):
            await anext(session.export_pickle(name, 1 << 20))
    with pytest.raises(BindFailed, match="none"):
        await anext(session.export_pickle("none", 1 << 20))
    await works(session)


async def test_a_pickle_travels_to_another_session(session: Session, launcher: Launcher) -> None:
    await session.run("value = {(1, 2): {3, 4}, 'deep': [b'x' * 3_000_000, range(5)]}")
    async with opened(launcher, Toolbox()) as other:
        await other.import_pickle("value", session.export_pickle("value", 8 << 20))
        result = await other.run("sorted(value[(1, 2)]), len(value['deep'][0]), list(inputs)")
        assert result.value == "([3, 4], 3000000, ['value'])"


@pytest.mark.parametrize("blob", [b"", b"no pickle", b"\x80\x05.", b"cno_such_module\nx\n."])
async def test_a_broken_pickle_is_refused(session: Session, blob: bytes) -> None:
    with pytest.raises(BindFailed):
        await session.import_pickle("x", feed(blob))
    await works(session)


async def test_a_pickle_comes_in_pieces_and_leaves_the_session_free_when_it_is_not_read_on(
    session: Session,
) -> None:
    await session.run("value = [bytes(3_000_000), set()]")
    pieces = [piece async for piece in session.export_pickle("value", 8 << 20)]
    assert len(pieces) > 2
    assert max(map(len, pieces)) <= 1 << 20
    stream = session.export_pickle("value", 8 << 20)
    assert await anext(stream) == pieces[0]
    await stream.aclose()  # type: ignore[attr-defined]
    await works(session)
    await session.import_pickle("back", feed(b"".join(pieces), 5000))
    assert (await session.run("back == value")).value == "True"


async def test_a_pickle_whose_source_fails_leaves_nothing_for_the_next(session: Session) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"\x80\x05]"
        raise LookupError("the other side is gone")

    with pytest.raises(LookupError):
        await session.import_pickle("x", broken())
    await session.import_pickle("x", feed(pickle.dumps({1: 2}, 0)))
    assert (await session.run("x")).value == "{1: 2}"


async def test_a_process_that_is_lost_while_it_pickles_is_told_by_the_next_action(
    session: Session,
) -> None:
    await session.run(
        "import os\nclass Bad:\n    def __reduce__(self): os._exit(3)\nbad = Bad(); kept = 1"
    )
    with pytest.raises(BindFailed, match="3"):
        await anext(session.export_pickle("bad", 1 << 20))
    result = await session.run("'kept' in globals()")
    assert (result.value, result.state_lost) == ("False", True)


# -- files


async def test_files_go_in_and_come_out_as_they_were(session: Session) -> None:
    data = bytes(range(256)) * 20_000  # 5 MB
    await session.write_file("in/put é.bin", data)
    code = "d = open('in/put é.bin', 'rb').read(); open('out.bin', 'wb').write(d[::-1])"
    assert (await session.run(code)).value == str(len(data))
    assert await session.read_file("out.bin", 6 << 20) == data[::-1]
    found = {file.name: file.bytes for file in await session.list_files()}
    assert found == {"in/put é.bin": len(data), "out.bin": len(data)}
    assert await session.read_file("out.bin", len(data)) == data[::-1]


async def test_files_with_long_names_of_any_script_are_listed_and_named(session: Session) -> None:
    code = """
import os
path = ''
for n in range(6): path += 'Ж' * 115 + '/'; os.mkdir(path)
for n in range(250):
    for name in (path + 'ж' * 100, '漢' * 75): open(name + str(n), 'w').close()
'é' * 19_000
"""
    result = await session.run(code)
    assert (result.status, result.value) == ("ok", repr("é" * 19_000))
    assert len(result.files) > 100
    assert len(await session.list_files()) == 500


async def test_an_empty_file_is_a_file(session: Session) -> None:
    await session.write_file("empty", b"")
    assert await session.read_file("empty", 0) == b""
    assert [file.bytes for file in await session.list_files()] == [0]


async def test_a_missing_or_large_file_says_so(session: Session) -> None:
    with pytest.raises(FileNotFoundError):
        await session.read_file("none.txt", 10)
    with pytest.raises(FileNotFoundError):
        await session.read_file("no/such/folder.txt", 10)
    await session.write_file("large", bytes(11))
    with pytest.raises(FileTooLarge):
        await session.read_file("large", 10)
    await works(session)


TRICKS = ["../../x", "/etc/passwd", "a/../../x", "", ".", "..", "a\nb", "a\0b", "x" * 2000]


@pytest.mark.parametrize("name", [*TRICKS, "a/" * 40 + "x"])
async def test_a_name_with_tricks_is_refused(session: Session, name: str) -> None:
    with pytest.raises((TransferFailed, FileNotFoundError)):
        await session.write_file(name, b"data")
    with pytest.raises((TransferFailed, FileNotFoundError)):
        await session.read_file(name, 100)
    assert await session.list_files() == ()


TRAPS = {
    "a link to a file": "os.symlink('/etc/passwd', 'trap')",
    "a link to nothing": "os.symlink('/workspace/none', 'trap')",
    "a named pipe": "os.mkfifo('trap')",
    "a folder": "os.mkdir('trap')",
    "a socket": "import socket; s = socket.socket(socket.AF_UNIX); s.bind('trap')",
}


@pytest.mark.parametrize("name", TRAPS)
async def test_only_regular_files_leave_and_none_is_written_through_a_trap(
    session: Session, name: str
) -> None:
    made = await session.run(f"import os; open('good', 'w').write('1'); {TRAPS[name]};")
    assert made.status == "ok", made
    async with asyncio.timeout(20):
        with pytest.raises(TransferFailed):
            await session.read_file("trap", 10_000)
        with pytest.raises(TransferFailed):
            await session.write_file("trap", b"data")
        assert [file.name for file in await session.list_files()] == ["good"]
        tar = b"".join([chunk async for chunk in session.export_workspace()])
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened_tar:
        assert opened_tar.getnames() == ["good"]


async def test_a_link_to_a_folder_is_not_followed(session: Session) -> None:
    await session.run("import os; os.symlink('/etc', 'etc')")
    with pytest.raises(TransferFailed):
        await session.read_file("etc/passwd", 100_000)
    with pytest.raises(TransferFailed):
        await session.write_file("etc/new", b"x")
    assert await session.list_files() == ()


async def test_a_folder_travels_whole_to_another_session(
    session: Session, launcher: Launcher
) -> None:
    code = (
        "import os\nfor n in range(300):\n    os.makedirs(f'd{n % 7}/e', exist_ok=True)\n"
        "    open(f'd{n % 7}/e/{n}.txt', 'w').write(str(n) * n)\n"
        "open('big.bin', 'wb').write(os.urandom(1) * 20_000_000);"
    )
    await session.run(code)
    async with opened(launcher, Toolbox()) as other:
        async with asyncio.timeout(30):
            await other.import_workspace(session.export_workspace())
        mine = {(file.name, file.bytes) for file in await session.list_files()}
        assert {(file.name, file.bytes) for file in await other.list_files()} == mine
        assert len(mine) == 301
        assert (await other.run("open('d3/e/10.txt').read()")).value == repr("10" * 10)


async def test_files_with_odd_names_leave_under_cleaned_ones(
    session: Session, launcher: Launcher
) -> None:
    names = [b"a\nb/c\x1b.txt", b"\xff.bin", "r\u202el".encode(), b"back\\slash", b"plain"]
    code = f"import os\nos.mkdir('a\\nb')\nfor n in {names!r}: open(n, 'wb').write(n)"
    await session.run(code)
    shown = ["_.bin", "a_b/c_.txt", "back_slash", "plain", "r_l"]
    assert sorted(file.name for file in await session.list_files()) == shown
    read = [await session.read_file(name, 100) for name in shown]
    assert sorted(read) == sorted(names)
    async with opened(launcher, Toolbox()) as other:
        await other.import_workspace(session.export_workspace())
        assert sorted(file.name for file in await other.list_files()) == shown
        assert [await other.read_file(name, 100) for name in shown] == read


async def test_of_two_versions_of_a_file_the_newer_one_stays(session: Session) -> None:
    def version(text: bytes, mtime: float) -> AsyncIterator[bytes]:
        info = member("x")
        info.mtime = mtime  # type: ignore[assignment]
        return feed(archive((info, text)))

    for text, mtime in (
        (b"one", 1e9),
        (b"two", 1e9 + 0.25),
        (b"older", 1e9 + 0.2),
        (b"odd", -1e30),
    ):
        await session.import_workspace(version(text, mtime))
    (kept,) = await session.list_files()
    assert (await session.read_file("x", 100), kept.mtime.timestamp()) == (b"two", 1e9 + 0.25)


async def test_a_file_whose_place_is_taken_is_left_out_and_told(session: Session) -> None:
    await session.run("import os; os.mkdir('b'); open('a', 'w').write('mine');")
    packed = archive(*((member(name), b"x") for name in ("a/x", "b", "c/x")))
    assert await session.import_workspace(feed(packed)) == ("a/x", "b")
    assert [file.name for file in await session.list_files()] == ["a", "c/x"]
    assert await session.read_file("a", 100) == b"mine"


async def test_who_stops_reading_a_folder_stops_its_transfer(session: Session) -> None:
    await session.run("open('big.bin', 'wb').write(bytes(30_000_000));")
    for _ in range(6):
        stream = session.export_workspace()
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        assert [file.name for file in await session.list_files()] == ["big.bin"]
    await works(session)


BAD_MEMBERS = {
    "a link": member("x", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": member("x", tarfile.LNKTYPE, "/etc/passwd"),
    "a device": member("x", tarfile.CHRTYPE),
    "a pipe": member("x", tarfile.FIFOTYPE),
    "a way up": member("../../x"),
    "an absolute name": member("/x"),
    "a newline": member("a\nb"),
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
async def test_an_archive_with_a_trap_is_refused(session: Session, name: str) -> None:
    with pytest.raises(TransferFailed):
        await session.import_workspace(feed(archive((BAD_MEMBERS[name], b""))))
    assert await session.list_files() == ()
    await works(session)


@pytest.mark.parametrize(
    "data",
    [b"no archive at all " * 100, archive((member("a"), bytes(5000)))[:3000]],
    ids=["noise", "cut"],
)
async def test_a_broken_archive_is_refused(session: Session, data: bytes) -> None:
    with pytest.raises(TransferFailed):
        await session.import_workspace(feed(data))
    await works(session)


async def test_a_source_that_fails_ends_the_transfer(session: Session) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield archive((member("a"), bytes(5000)))[:2000]
        raise LookupError("the other side is gone")

    with pytest.raises(LookupError):
        await session.import_workspace(broken())
    assert len(await session.list_files()) <= 1
    await works(session)


async def test_files_move_while_an_action_runs(session: Session, tools: Toolbox) -> None:
    running = asyncio.create_task(session.run("wait(); open('late.txt').read()"))
    await tools.waiting.wait()
    await asyncio.gather(*(session.write_file(f"{n}.txt", b"x" * 100_000) for n in range(8)))
    await session.write_file("late.txt", b"in time")
    assert len(await session.list_files()) == 9
    tools.may_answer.set()
    assert (await running).value == "'in time'"


async def test_after_a_lost_process_files_are_still_there(session: Session) -> None:
    for _ in range(10):
        await session.run("open('kept.txt', 'w').write('x')\nimport os; os._exit(3)")
        async with asyncio.timeout(10):
            assert [file.name for file in await session.list_files()] == ["kept.txt"]
            assert await session.read_file("kept.txt", 10) == b"x"


# -- seeds


async def test_the_same_seed_gives_the_same_numbers(launcher: Launcher) -> None:
    async def numbers(seed: int) -> str | None:
        async with opened(launcher, Toolbox(), spec(seed=seed)) as session:
            return (await session.run("import random; random.random(), hash('x')")).value

    first, again, other = [await numbers(seed) for seed in (7, 7, 8)]
    assert first == again
    assert first != other


async def test_the_variables_of_the_program_that_asks_are_not_in_the_environment(
    session: Session,
) -> None:
    result = await session.run(
        "import os; sorted(n for n in os.environ if 'KEY' in n or 'PLANNER' in n)"
    )
    assert result.value == "[]"
