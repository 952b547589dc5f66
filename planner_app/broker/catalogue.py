"""Which tools a run has: the bundled modules and a person's own, and what the model reads of them.

A module is read as text and as a syntax tree, never imported: its code runs in the guest only.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner_app.broker.signatures import ToolFunction, read_functions
from planner_app.domain.errors import BadInput

MAX_MODULE_BYTES = 200_000
SHORT_SOURCE_CHARS = 4_000
"""A module up to this length stands in the prompt as its source, a longer one as signatures."""

RESERVED_NAMES = frozenset({"inputs", "planner", "host", "ToolError"})
"""Names that the guest's session holds already."""


@dataclass(frozen=True, slots=True)
class ToolModule:
    """One module of tools."""

    name: str
    """The file's stem, an identifier."""
    source: str
    """Its whole text; runs in the guest, where @host functions are replaced by calls."""
    origin: str
    """The file it was read from, for messages and records."""
    doc: str
    """Its docstring; may be empty."""
    functions: tuple[ToolFunction, ...]
    """Its public functions, in order."""
    bundled: bool
    """Whether it is ours; only ours may have @host functions."""


def bundled_tools_dir() -> Path:
    """The folder of the tool modules that come with the program."""
    from planner_app._bundled import bundled_dir

    return bundled_dir("tools")


def load_modules(
    dirs: Sequence[Path], files: Sequence[Path], *, bundled: Path | None = None
) -> tuple[ToolModule, ...]:
    """The bundled modules, then those of a person's folders and files.

    A folder that does not exist has no modules; a file that does not exist is an error.
    Raises BadInput with file and line for what cannot be used, and for names that clash.
    """
    ours = _modules_in(bundled if bundled is not None else bundled_tools_dir())
    if not ours:
        raise BadInput(f"no tool modules in {bundled or bundled_tools_dir()}")
    theirs = [path for folder in dirs for path in _modules_in(folder)]
    known = {path.resolve() for path in theirs}
    theirs += [path for path in files if path.resolve() not in known]
    modules = [_load(path, bundled=True) for path in ours]
    modules += [_load(path, bundled=False) for path in dict.fromkeys(theirs)]
    _check_names(modules)
    return tuple(modules)


def module_from_source(name: str, source: str, *, bundled: bool) -> ToolModule:
    """A module from its text, as a resumed run has it in its records. Raises BadInput."""
    return _read(name, source, f"{name}.py", bundled=bundled)


def prompt_text(modules: Iterable[ToolModule], only: Collection[str] | None = None) -> str:
    """What the model reads: the source of short modules, else signatures with docstrings.

    `only` names the functions that a step was given; modules without one are left out. None
    means all.
    """
    parts = []
    for module in modules:
        functions = [f for f in module.functions if only is None or f.name in only]
        if not functions:
            continue
        whole = len(functions) == len(module.functions)
        if whole and len(module.source) <= SHORT_SOURCE_CHARS:
            body = module.source.strip()
        else:
            body = "\n\n".join(_outline(function) for function in functions)
            body = f'"""{module.doc}"""\n\n{body}' if module.doc else body
        parts.append(f"# module {module.name}\n{body}")
    return "\n\n\n".join(parts)


def _outline(function: ToolFunction) -> str:
    lines = function.docstring.splitlines()
    doc = "\n".join(f"    {line}".rstrip() for line in lines)
    return f'{function.signature}:\n    """{doc.strip()}"""\n    ...'


def _modules_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith((".", "_")))


def _load(path: Path, *, bundled: bool) -> ToolModule:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODULE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"{path}: cannot read the tool module: {reason}") from None
    if len(data) > MAX_MODULE_BYTES:
        raise BadInput(f"{path}: a tool module is at most {MAX_MODULE_BYTES // 1000} kB")
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: a tool module is UTF-8 text") from None
    return _read(path.stem, source, str(path), bundled=bundled)


def _read(name: str, source: str, origin: str, *, bundled: bool) -> ToolModule:
    if not name.isidentifier() or name in sys.stdlib_module_names or name in RESERVED_NAMES:
        raise BadInput(
            f"{origin}: {name!r} cannot name a tool module",
            "use a file name that is a Python identifier and no module of Python's own",
        )
    doc, functions = read_functions(source, origin)
    if not functions:
        raise BadInput(f"{origin}: no public function in the tool module")
    for function in functions:
        if function.host and not bundled:
            raise BadInput(
                f"{origin}:{function.line}: {function.name} is marked @host, "
                "but only bundled tools have a host half",
                "remove @host: the function then runs inside the sandbox",
            )
    return ToolModule(name, source, origin, doc, functions, bundled)


def _check_names(modules: Sequence[ToolModule]) -> None:
    """Functions of all modules stand in one session, so their names must differ."""
    taken: dict[str, str] = {}
    files: dict[str, str] = {}
    for module in modules:
        if module.name in files:
            raise BadInput(
                f"{module.origin}:1: a module named {module.name} is already there "
                f"({files[module.name]})",
                "rename the file",
            )
        files[module.name] = module.origin
        for function in module.functions:
            where = f"{module.origin}:{function.line}"
            if function.name in RESERVED_NAMES:
                raise BadInput(f"{where}: {function.name} is a name of the session", "rename it")
            if function.name in taken:
                raise BadInput(
                    f"{where}: {function.name} is already defined at {taken[function.name]}",
                    "rename one of the two",
                )
            taken[function.name] = where
