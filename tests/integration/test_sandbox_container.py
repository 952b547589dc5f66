"""What the code of an action finds around it in a container: nothing that leads out."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from planner_app.domain.state import RunState
from planner_app.engine.handover import give_values, keep_values
from planner_app.engine.run_log import RunLog
from planner_app.history import History
from planner_app.sandbox import BindFailed, Launcher, Limits, Session
from planner_app.sandbox.limits import MIB
from tests.sandbox.shared import Kind, lasting, launcher, limits, session, tools
from tests.sandbox.toolbox import PeakMemory, Toolbox, opened, works

__all__ = ["lasting", "launcher", "limits", "session", "tools"]

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def kind() -> Kind:
    return "docker"


async def value(session: Session, code: str) -> Any:
    result = await session.run(code)
    assert result.status == "ok", result
    return ast.literal_eval(result.value or "None")


@pytest.fixture
def inspected(session: Session) -> Iterator[dict[str, Any]]:
    import docker

    client = docker.from_env()
    try:
        yield client.api.inspect_container(getattr(session, "where"))  # noqa: B009
    finally:
        client.close()


async def test_the_engine_was_told_every_limit(
    session: Session, inspected: dict[str, Any], limits: Limits
) -> None:
    config = inspected["HostConfig"]
    assert config["NetworkMode"] == "none"
    assert config["ReadonlyRootfs"] is True
    assert config["AutoRemove"] is True
    assert config["CapDrop"] == ["ALL"]
    assert sorted(cap.removeprefix("CAP_") for cap in config["CapAdd"]) == [
        "KILL",
        "SETGID",
        "SETUID",
    ]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["IpcMode"] == "private"
    assert config["Privileged"] is False
    assert not config["Binds"]
    assert inspected["Mounts"] == []
    assert config["Memory"] == config["MemorySwap"] == limits.memory_bytes
    assert config["NanoCpus"] == int(limits.cpus * 1e9)
    assert config["PidsLimit"] == limits.pids
    assert config["LogConfig"]["Type"] == "none"
    assert set(config["Tmpfs"]) == {"/tmp", "/workspace"}
    for options in config["Tmpfs"].values():
        assert {"nosuid", "nodev"} <= set(options.split(","))
    assert {"core", "nofile"} <= {limit["Name"] for limit in config["Ulimits"]}


async def test_an_action_is_an_ordinary_user_without_any_power(session: Session) -> None:
    code = """
import os
fields = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines())
[os.getresuid(), os.getresgid(), os.getgroups()], {k: v.strip() for k, v in fields.items()
 if k.startswith('Cap') or k in ('NoNewPrivs', 'Seccomp')}, os.getpid() != 1
"""
    ids, status, not_first = await value(session, code)
    assert ids == [(1000,) * 3, (1000,) * 3, []]
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"], not_first) == ("1", "2", True)


async def test_nothing_but_its_own_folders_can_be_written(session: Session) -> None:
    code = """
import os
found = []
for top, folders, files in os.walk('/'):
    if top.startswith(('/proc', '/sys')): folders.clear(); continue
    if os.access(top, os.W_OK): found.append(top); folders.clear()
sorted(found)
"""
    assert set(await value(session, code)) <= {"/tmp", "/workspace", "/dev/shm", "/dev/mqueue"}
    names = ("/opt/guest/boot.py", "/etc/passwd", "/usr/bin/env")
    code = f"import os; [n for n in {names} if os.access(n, os.W_OK)]"
    assert await value(session, code) == []


async def test_there_is_no_network(session: Session) -> None:
    code = """
import os, socket
errors = []
for address in (('1.1.1.1', 53), ('169.254.169.254', 80), ('172.17.0.1', 2375), ('10.0.0.1', 80)):
    with socket.socket() as s:
        s.settimeout(2)
        try: s.connect(address); errors.append(address)
        except OSError: pass
try: errors.append(socket.getaddrinfo('example.org', 80))
except OSError: pass
sorted(os.listdir('/sys/class/net')), errors
"""
    interfaces, reached = await value(session, code)
    assert "eth0" not in interfaces
    assert reached == []


async def test_nothing_of_the_hosts_is_mounted(session: Session) -> None:
    code = """
import os
kinds = {line.split()[1]: line.split()[2] for line in open('/proc/mounts')}
sockets = [p for p in ('/var/run/docker.sock', '/run/containerd') if os.path.exists(p)]
theirs = ('/proc', '/sys', '/dev', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf')
sorted(set(k for p, k in kinds.items() if not p.startswith(theirs))), sockets
"""
    kinds, sockets = await value(session, code)
    assert set(kinds) <= {"overlay", "tmpfs"}
    assert sockets == []


async def test_no_device_leads_anywhere(session: Session) -> None:
    code = """
import os, stat
found = []
for top, folders, files in os.walk('/dev'):
    for n in files:
        m = os.lstat(os.path.join(top, n)).st_mode
        if stat.S_ISBLK(m) or stat.S_ISCHR(m): found.append(n)
sorted(found)
"""
    known = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    assert set(await value(session, code)) <= known


CALLS = {
    "io_uring_setup": (425, 8, 0),
    "userfaultfd": (323, 0),
    "bpf": (321, 0, 0, 0),
    "perf_event_open": (298, 0, 0, -1, -1, 0),
    "keyctl": (250, 0, -3, 1),
    "add_key": (248, 0, 0, 0, 0, -3),
    "ptrace of PID 1": (101, 16, 1, 0, 0),
    "process_vm_readv of PID 1": (310, 1, 0, 0, 0, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "unshare of a user namespace": (272, 0x10000000),
    "unshare of a mount namespace": (272, 0x00020000),
    "clone into a user namespace": (56, 0x10000000 | 17, 0, 0, 0, 0),
    "clone3": (435, 0, 0),
    "setns": (308, 0, 0),
    "mount": (165, 0, 0, 0, 0, 0),
    "umount2": (166, 0, 0),
    "pivot_root": (155, 0, 0),
    "chroot": (161, 0),
    "open_tree": (428, -100, 0, 1),
    "fsopen": (430, 0, 0),
    "init_module": (175, 0, 0, 0),
    "finit_module": (313, 0, 0, 0),
    "kexec_load": (246, 0, 0, 0, 0),
    "open_by_handle_at": (304, 0, 0, 0),
    "fanotify_init": (300, 0, 0),
    "acct": (163, 0),
    "reboot": (169, 0, 0, 0, 0),
    "shared memory that outlives its process": (29, 0, 4096, 0o1600),
    "a message queue that outlives its process": (68, 0, 0o1600),
    "semaphores that outlive their process": (64, 0, 1, 0o1600),
    "a watch on files": (294, 0),
    "a scheduling class": (144, 0, 5, 0),
    "sethostname": (170, 0, 0),
    "settimeofday": (164, 0, 0),
    "swapon": (167, 0, 0),
    "iopl": (172, 3),
    "setuid to root": (105, 0),
    "setresuid to root": (117, 0, 0, 0),
    "setgid to root": (106, 0),
    "a raw socket": (41, 2, 3, 1),
    "a packet socket": (41, 17, 3, 0),
    "a vsock": (41, 40, 1, 0),
    "an AF_ALG socket": (41, 38, 5, 0),
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize("name", CALLS)
async def test_a_system_call_that_leads_out_is_refused(session: Session, name: str) -> None:
    code = f"""
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
got = libc.syscall(*[ctypes.c_long(n) for n in {CALLS[name]!r}])
got, errno.errorcode.get(ctypes.get_errno())
"""
    got, error = await value(session, code)
    assert (got, error in ("EPERM", "ENOSYS", "EACCES")) == (-1, True), error


PID_1 = [
    "open('/proc/1/mem', 'rb').read(1)",
    "open('/proc/1/environ').read()",
    "open('/proc/1/maps').read()",
    "__import__('os').listdir('/proc/1/fd')",
    "__import__('os').readlink('/proc/1/exe')",
    "__import__('os').readlink('/proc/1/root')",
    "__import__('os').kill(1, 9)",
    "__import__('os').kill(1, 19)",
    "__import__('os').kill(1, 17)",
    "open('/proc/1/oom_score_adj', 'wb', 0).write(b'1000')",
    "open('/proc/1/coredump_filter', 'wb', 0).write(b'1')",
    "open('/proc/self/oom_score_adj', 'wb', 0).write(b'-1000')",
    "open('/proc/sys/kernel/core_pattern', 'wb', 0).write(b'|/tmp/x')",
    "open('/proc/sysrq-trigger', 'wb', 0).write(b'b')",
    "open('/sys/fs/cgroup/cgroup.procs', 'wb', 0).write(b'1')",
    "open('/sys/fs/cgroup/memory/memory.limit_in_bytes', 'wb', 0).write(b'-1')",
    "open('/proc/self/uid_map', 'wb', 0).write(b'0 0 1')",
    "open('/proc/kcore', 'rb').read(1)",
    "__import__('os').mknod('/tmp/d', 0o60666, 0x800)",
    "__import__('os').chown('/workspace', 1000, 1000)",
    "__import__('os').setpriority(0, 0, -10)",
    "__import__('resource').setrlimit(7, (100000, 100000))",
]


@pytest.mark.parametrize("code", PID_1)
async def test_reading_tracing_and_changing_what_is_not_its_own_is_refused(
    session: Session, code: str
) -> None:
    result = await session.run(code)
    assert result.error is not None, result.value
    assert result.error.name in ("PermissionError", "FileNotFoundError", "OSError", "ValueError")
    await works(session)


async def test_a_program_with_the_suid_bit_gives_no_power(session: Session) -> None:
    code = """
import os, subprocess
found = []
for top, folders, files in os.walk('/usr'):
    for n in files:
        p = os.path.join(top, n)
        try:
            if os.lstat(p).st_mode & 0o6000: found.append(p)
        except OSError: pass
import shutil
shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o6755)
told = []
for command in (['./id', '-u'], ['su', '-c', 'id -u'], ['sudo', '-n', 'id', '-u']):
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        continue
    told.append(done.stdout.strip())
told
"""
    assert set(await value(session, code)) <= {"", "1000"}


async def test_what_joblib_starts_with_python_s_own_flags_finds_the_packages(
    session: Session,
) -> None:
    code = """
import subprocess, sys
find = "from importlib.util import find_spec; print(find_spec('joblib') is not None)"
flags = subprocess._args_from_interpreter_flags()
subprocess.run([sys.executable, *flags, '-c', find], capture_output=True, text=True).stdout
"""
    assert (await session.run(code)).value == "'True\\n'"


async def test_data_frames_are_shown_as_text_and_table(session: Session) -> None:
    result = await session.run("import pandas as pd; pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})")
    assert result.value is not None
    assert "a  b" in result.value
    [display] = [display for display in result.displays if display.mime == "text/html"]
    assert b"<table" in display.data


async def test_large_frames_and_arrays_are_told_with_their_shape(session: Session) -> None:
    code = "import pandas as pd, numpy as np; df = pd.DataFrame(np.zeros((100_000, 50))); df"
    result = await session.run(code)
    assert "100000 rows x 50 columns" in (result.value or "")
    exported = (await session.export(["df"]))["df"]
    assert (exported.kind, exported.type_name) == ("pickle", "DataFrame")
    assert "100000 x 50" in exported.summary
    with pytest.raises(BindFailed, match="1,048,576"):
        await anext(session.export_pickle("df", 1 << 20))
    array = await session.run(
        "import sys; np.set_printoptions(threshold=sys.maxsize); np.zeros((300, 400))"
    )
    assert "300 x 400" in (array.value or "")
    assert "float64" in (array.value or "")
    assert "960,000 bytes" in (array.value or "")


async def test_figures_become_images_and_are_closed(session: Session) -> None:
    code = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('漢字 é Ж ก')\n"
        "plt.figure(); plt.show()"
    )
    result = await session.run(code)
    assert result.status == "ok"
    assert [display.mime for display in result.displays] == ["image/png"] * 2
    assert all(display.data.startswith(b"\x89PNG") for display in result.displays)
    assert "missing from font" not in result.stderr
    assert (await session.run("plt.get_fignums()")).value == "[]"


async def test_100_mb_go_from_sandbox_to_sandbox_without_filling_the_hosts_memory(
    session: Session, launcher: Launcher
) -> None:
    made = await session.run(
        "import hashlib, os\nd = os.urandom(1 << 20) * 100\nopen('big.bin', 'wb').write(d)\n"
        "hashlib.sha256(d).hexdigest()"
    )
    async with opened(launcher, Toolbox()) as other:
        memory = PeakMemory()
        await other.import_workspace(session.export_workspace())
        assert memory.grown < 40 * MIB
        code = "import hashlib; hashlib.sha256(open('big.bin', 'rb').read()).hexdigest()"
        assert (await other.run(code)).value == made.value


FRAME = """
import numpy as np, pandas as pd
n = 2_500_000
df = pd.DataFrame({
    'a': np.random.random(n), 'b': np.arange(n),
    'c': pd.date_range('2020-01-01', periods=n, freq='s'),
    'd': pd.Categorical(np.where(np.arange(n) % 3, 'x', 'y')),
    'e': np.asfortranarray(np.random.random((n // 1000, 1000))).ravel(order='K'),
}, index=pd.Index(np.arange(n)[::-1], name='i'))
def told(df): return int(pd.util.hash_pandas_object(df).sum()), str(df.dtypes.to_dict()), df.shape
told(df)
"""


async def test_a_data_frame_of_100_mb_goes_from_step_to_step_without_filling_the_hosts_memory(
    session: Session, launcher: Launcher, tmp_path: Path
) -> None:
    made = await session.run(FRAME)
    assert made.status == "ok", made
    with closing(History.open(tmp_path / "history.db")) as history:
        now = datetime.now(UTC)
        state = RunState(run_id="run", task_id="task", text="", created_at=now, last_at=now)
        log = RunLog(history, "run", 1, state)
        await log.put(bytes(100))  # what the history itself needs is no part of it
        memory = PeakMemory()
        values, blobs = await keep_values(log, session, ["df"])
        assert values["df"]["kind"] == "pickle"
        assert values["df"]["bytes"] > 80 * MIB
        async with opened(launcher, Toolbox()) as other:
            kept = {"df": values["df"] | {"sha": blobs["value:df"]}}
            assert await give_values(log, other, kept) == (["df"], {})
            assert memory.grown < 20 * MIB, memory.grown
            code = FRAME[FRAME.index("def told") :]
            assert (await other.run("import pandas as pd\n" + code)).value == made.value
