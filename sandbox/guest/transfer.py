"""Moves files between the workspace and the host; runs in a short-lived child of its own.

Only regular files and folders pass, by clean relative names, and never through a link.
"""

from __future__ import annotations

import errno
import io
import os
import stat

from .frames import Message, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 1 << 18
MAX_LISTED = 10_000
MAX_DEPTH = 32
MAX_NAME = 1000
MAX_LEFT_OUT = 20
"""Names of files without a place that are told."""
LISTED_AT_ONCE = 80
"""Names in one frame, of which each character may take 12 bytes."""


class Refused(Exception):
    """A request that cannot be served; `kind` tells the host which exception to raise."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class InTheWay(Refused):
    """A file is where a folder should be, or the other way round."""


def perform(request: Message, workspace: str) -> None:
    """Do one job: request on fd 0 (data only), frames on fd 1."""
    kinds = {
        "read": _read,
        "write": _write,
        "list": _list,
        "pack": _pack_tree,
        "unpack": _unpack_tree,
    }
    try:
        work = kinds.get(str(request.get("kind")))
        if work is None:
            raise Refused("failed", "unknown kind of file transfer")
        done = work(request, workspace)
    except Refused as error:
        _send({"t": "failed", "kind": error.kind, "error": str(error)})
    except FileNotFoundError as error:
        _send({"t": "failed", "kind": "missing", "error": _plain(error)})
    except (OSError, EOFError, ValueError, RecursionError) as error:
        _send({"t": "failed", "kind": "failed", "error": _plain(error)})
    else:
        _send({"t": "done", **done})


def _plain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left in the workspace"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{os.strerror(error.errno)}: {str(error.filename or '')[:200]}"
    return f"{type(error).__name__}: {error}"[:500]


def _send(message: Message, blob: bytes = b"") -> None:
    data = memoryview(pack(message, blob))
    while data:
        data = data[os.write(1, data) :]


def clean_name(name: str) -> str:
    """A relative path without tricks. Raises Refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    bad = (
        not parts
        or name.startswith("/")
        or ".." in parts
        or len(name) > MAX_NAME
        or len(parts) > MAX_DEPTH
        or any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in name)
    )
    if bad:
        raise Refused("failed", f"not a name for a workspace file: {name!r:.120}")
    return "/".join(parts)


def _shown(path: str) -> str:
    """A path as the host takes it: what a terminal or another system trips over becomes `_`."""
    if path.isprintable() and "\\" not in path:
        return path
    return "".join(c if c.isprintable() and c != "\\" else "_" for c in path)


def _folder(root: int, parts: list[str], *, create: bool) -> int:
    """Open a folder below `root` step by step, never through a link."""
    here = os.dup(root)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        for part in parts:
            if create:
                try:
                    os.mkdir(part, 0o755, dir_fd=here)
                except FileExistsError:
                    pass  # a folder, or something that the next line refuses
            there = os.open(part, flags, dir_fd=here)
            os.close(here)
            here = there
    except OSError as error:
        os.close(here)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise InTheWay("failed", f"{part!r} is not a folder, or is a link") from None
        raise
    return here


def _root(workspace: str) -> int:
    return os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)


def _open_regular(root: int, name: str) -> io.FileIO:
    """A regular file for reading. Raises Refused for links, devices and pipes."""
    *folders, last = name.split("/")
    folder = _folder(root, folders, create=False)
    try:
        fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused("failed", f"{name!r} is a link; only regular files leave") from None
        error.filename = name
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("failed", f"{name!r} is not a regular file")
    return io.FileIO(fd, "r")


def _open_shown(root: int, name: str) -> io.FileIO:
    """A regular file by the name that the host knows."""
    try:
        return _open_regular(root, name)
    except FileNotFoundError:
        for shown, path, _ in _walk(root, "", 0):
            if shown == name:
                return _open_regular(root, path)
        raise


def _has_newer(root: int, name: str, changed: float) -> bool:
    """Whether a file of that name was changed after a time."""
    try:
        with _open_regular(root, name) as file:
            return os.fstat(file.fileno()).st_mtime > changed
    except (Refused, OSError):
        return False


def _create(root: int, name: str, mode: int) -> io.FileIO:
    *folders, last = name.split("/")
    folder = _folder(root, folders, create=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(last, flags, mode, dir_fd=folder)
    except OSError as error:
        error.filename = name
        if error.errno == errno.ELOOP:
            raise Refused("failed", f"{name!r} is a link in the workspace") from None
        if error.errno == errno.EISDIR:
            raise InTheWay("failed", f"{name!r} is a folder in the workspace") from None
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("failed", f"{name!r} exists and is not a regular file")
    return io.FileIO(fd, "w")


def _write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _read(request: Message, workspace: str) -> Message:
    name = clean_name(_shown(str(request.get("path"))))
    limit = request.get("max_bytes")
    most = limit if isinstance(limit, int) else 0
    with _open_shown(_root(workspace), name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise Refused("large", f"{name!r} has {size} bytes, more than {most}")
        left = most
        while left > 0 and (data := file.read(min(PIECE, left))):
            left -= len(data)
            _send({"t": "chunk"}, data)
        if left == 0 and file.read(1):
            raise Refused("large", f"{name!r} has grown past {most} bytes")
    return {}


def _write(request: Message, workspace: str) -> Message:
    name = clean_name(str(request.get("path")))
    size = 0
    with _create(_root(workspace), name, 0o644) as file:
        while data := os.read(0, PIECE):
            _write_all(file, data)
            size += len(data)
    return {"bytes": size}


def _walk(root: int, prefix: str, depth: int) -> Iterator[tuple[str, str, os.stat_result]]:
    """Regular files below an open folder, links never followed: how the host is told of them,
    and their paths."""
    with os.scandir(root) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = prefix + entry.name
        shown = _shown(path)
        try:
            clean_name(shown)
            info = entry.stat(follow_symlinks=False)
        except (Refused, FileNotFoundError):
            continue
        if stat.S_ISREG(info.st_mode):
            yield shown, path, info
        elif stat.S_ISDIR(info.st_mode) and depth < MAX_DEPTH:
            try:
                folder = os.open(
                    entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=root
                )
            except OSError:
                continue  # replaced by a link, removed, or made unreadable
            try:
                yield from _walk(folder, path + "/", depth + 1)
            finally:
                os.close(folder)


def _list(request: Message, workspace: str) -> Message:
    files: list[list[object]] = []
    more = False
    for name, _, info in _walk(_root(workspace), "", 0):
        if len(files) >= MAX_LISTED:
            more = True
            break
        files.append([name, info.st_size, round(info.st_mtime, 6)])
    for start in range(0, len(files), LISTED_AT_ONCE):
        _send({"t": "files", "files": files[start : start + LISTED_AT_ONCE]})
    return {"more": more}


class _Chunks(io.RawIOBase):
    """A file that turns what is written into frames."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        for start in range(0, len(view), PIECE):
            _send({"t": "chunk"}, bytes(view[start : start + PIECE]))
        return len(view)


def _pack_tree(request: Message, workspace: str) -> Message:
    import tarfile  # slow to import, and needed in this short-lived child only

    root = _root(workspace)
    count = 0
    with tarfile.open(fileobj=_Chunks(), mode="w|", bufsize=PIECE) as archive:
        for shown, path, _ in _walk(root, "", 0):
            try:
                file = _open_regular(root, path)
            except (Refused, OSError):
                continue  # removed or replaced meanwhile, or unreadable
            try:
                name = clean_name(path)
            except Refused:
                name = shown
            with file:
                info = os.fstat(file.fileno())
                member = tarfile.TarInfo(name)
                member.size = info.st_size
                member.mtime = _moment(info.st_mtime)
                member.mode = 0o755 if info.st_mode & 0o100 else 0o644
                archive.addfile(member, _Padded(file, info.st_size))
                count += 1
    return {"count": count}


def _moment(mtime: float) -> float:
    """A time that any system can hold; the fraction tells which of two versions is the newer."""
    return mtime if 0 <= mtime < 2**32 else 0.0


class _Padded:
    """Reads exactly `size` bytes of a file that may shrink while it is read."""

    def __init__(self, file: io.FileIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted) or b""
        data += bytes(wanted - len(data)) if len(data) < wanted else b""
        self._left -= len(data)
        return data


def _unpack_tree(request: Message, workspace: str) -> Message:
    from tarfile import TarError

    root = _root(workspace)
    try:
        return {"left_out": _unpack(root)[:MAX_LEFT_OUT]}
    except TarError as error:
        raise Refused("failed", _plain(error)) from None


def _unpack(root: int) -> list[str]:
    """The names of files that had no place, since something else has it."""
    import tarfile

    left_out = []
    with (
        open(0, "rb", buffering=PIECE, closefd=False) as feed,
        tarfile.open(fileobj=feed, mode="r|", bufsize=PIECE) as archive,
    ):
        for member in archive:
            if not (member.isreg() or member.isdir()):
                raise Refused("failed", f"{member.name!r:.120} is a link or a device: refused")
            if member.isdir() and member.name.strip("/") in ("", "."):
                continue
            name = clean_name(member.name.removesuffix("/"))
            if member.isdir():
                os.close(_folder(root, name.split("/"), create=True))
                continue
            source = archive.extractfile(member)
            if source is None:
                raise Refused("failed", f"{name!r} cannot be read from the archive")
            changed = _moment(member.mtime)
            if _has_newer(root, name, changed):
                continue  # of several that come together, the last version is meant
            try:
                target = _create(root, name, 0o755 if member.mode & 0o100 else 0o644)
            except InTheWay:
                left_out.append(_shown(name))
                continue
            with target:
                while data := source.read(PIECE):
                    _write_all(target, data)
                os.utime(target.fileno(), (changed, changed))
        while feed.read(PIECE):
            pass  # padding after the end mark
    return left_out
