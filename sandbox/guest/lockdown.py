"""Gives up every power a worker does not need: user, groups, traceability, system calls."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from struct import pack

from .quiet import suppress

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

LOAD_WORD = 0x20
JUMP_EQUAL = 0x15
JUMP_GREATER_EQUAL = 0x35
JUMP_ANY_BIT = 0x45
RETURN = 0x06
ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | 1  # EPERM
NO_SUCH_CALL = 0x00050000 | 38  # ENOSYS: glibc then falls back to clone()
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
SECOND_ARGUMENT_AT, THIRD_ARGUMENT_AT = 24, 32

NEW_NAMESPACE_FLAGS = 0x7E020080
SOCKET_FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink (asked by getaddrinfo)

# Calls that are reachable under some engines' default filter and that no computation needs; what
# the older kind of shared memory holds would outlive the process and its reset, and few may watch
# files, in all sandboxes together.
REFUSED: dict[str, dict[str, int]] = {
    "x86_64": {
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "userfaultfd": 323,
        "bpf": 321,
        "perf_event_open": 298,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "process_madvise": 440,
        "pidfd_getfd": 438,
        "unshare": 272,
        "setns": 308,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "open_tree": 428,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "fsmount": 432,
        "fspick": 433,
        "mount_setattr": 442,
        "fanotify_init": 300,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "personality": 135,
        "vhangup": 153,
        "modify_ldt": 154,
        "acct": 163,
        "syslog": 103,
        "kexec_load": 246,
        "init_module": 175,
        "finit_module": 313,
        "shmget": 29,
        "semget": 64,
        "msgget": 68,
        "inotify_init": 253,
        "inotify_init1": 294,
        "sched_setscheduler": 144,
        "sched_setattr": 314,
    },
    "aarch64": {
        "io_uring_setup": 425,
        "io_uring_enter": 426,
        "io_uring_register": 427,
        "userfaultfd": 282,
        "bpf": 280,
        "perf_event_open": 241,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "process_madvise": 440,
        "pidfd_getfd": 438,
        "unshare": 97,
        "setns": 268,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "open_tree": 428,
        "move_mount": 429,
        "fsopen": 430,
        "fsconfig": 431,
        "fsmount": 432,
        "fspick": 433,
        "mount_setattr": 442,
        "fanotify_init": 262,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "personality": 92,
        "vhangup": 58,
        "acct": 89,
        "syslog": 116,
        "kexec_load": 104,
        "init_module": 105,
        "finit_module": 273,
        "shmget": 194,
        "semget": 190,
        "msgget": 186,
        "inotify_init1": 26,
        "sched_setscheduler": 119,
        "sched_setattr": 274,
    },
}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
SOCKET = {"x86_64": 41, "aarch64": 198}
SETSOCKOPT = {"x86_64": 54, "aarch64": 208}
SOL_SOCKET, SO_LINGER = 1, 13
X32_BIT = 0x40000000


class SockFprog(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _prctl(option: int, first: int, second: object = ctypes.c_ulong(0)) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    return int(libc.prctl(option, ctypes.c_ulong(first), second, none, none))


def build_filter(machine: str) -> bytes:
    """The seccomp program for a machine; empty where the machine is not known."""
    if machine not in ARCHITECTURE:
        return b""

    def op(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
        return pack("=HBBI", code, yes, no, k)

    def verdict_if_equal(number: int, verdict: int) -> bytes:
        return op(JUMP_EQUAL, number, 0, 1) + op(RETURN, verdict)

    program = op(LOAD_WORD, ARCHITECTURE_AT)
    program += op(JUMP_EQUAL, ARCHITECTURE[machine], 1, 0) + op(RETURN, REFUSE)
    program += op(LOAD_WORD, NUMBER_AT)
    program += op(JUMP_GREATER_EQUAL, X32_BIT, 0, 1) + op(RETURN, REFUSE)
    for number in REFUSED[machine].values():
        program += verdict_if_equal(number, REFUSE)
    program += verdict_if_equal(CLONE3, NO_SUCH_CALL)
    program += op(JUMP_EQUAL, CLONE[machine], 0, 4) + op(LOAD_WORD, FIRST_ARGUMENT_AT)
    program += op(JUMP_ANY_BIT, NEW_NAMESPACE_FLAGS, 0, 1) + op(RETURN, REFUSE) + op(RETURN, ALLOW)
    # A socket that lingers, handed to PID 1 over a unix socket, would hold PID 1 up as it closes.
    program += op(JUMP_EQUAL, SETSOCKOPT[machine], 0, 7) + op(LOAD_WORD, SECOND_ARGUMENT_AT)
    program += (
        op(JUMP_EQUAL, SOL_SOCKET, 1, 0) + op(RETURN, ALLOW) + op(LOAD_WORD, THIRD_ARGUMENT_AT)
    )
    program += verdict_if_equal(SO_LINGER, REFUSE) + op(RETURN, ALLOW)
    allowed = len(SOCKET_FAMILIES)
    program += op(JUMP_EQUAL, SOCKET[machine], 0, allowed + 2) + op(LOAD_WORD, FIRST_ARGUMENT_AT)
    for i, family in enumerate(SOCKET_FAMILIES):
        program += op(JUMP_EQUAL, family, allowed - i, 0)
    program += op(RETURN, REFUSE)
    return program + op(RETURN, ALLOW)


def _install_filter(program: bytes) -> None:
    if not program:
        return
    text = ctypes.create_string_buffer(program, len(program))
    head = SockFprog(len(program) // 8, ctypes.addressof(text))
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(head)) != 0:
        raise OSError(ctypes.get_errno(), "the system call filter was refused")


FILTER = build_filter(os.uname().machine) if sys.platform == "linux" else b""


def hide_process() -> None:
    """Nobody of the same uid may trace this process or read its memory and descriptors."""
    if sys.platform == "linux":
        _prctl(PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Children of children that lose their parent become children of this process."""
    if sys.platform == "linux":
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def drop_powers(uid: int) -> None:
    """Become `uid` for good, without groups; only in a container, as root."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def confine(*, traceable: bool) -> None:
    """Refuse dangerous system calls, dump no core, be the first to die when memory is short."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(PR_SET_DUMPABLE, 1 if traceable else 0)
    if traceable:
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # some engines show it read-only; their kernel chooses by size
    _install_filter(FILTER)
