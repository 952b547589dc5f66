"""What the program imports is what it declares: nothing by chance, nothing for nothing."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

USED_WITHOUT_IMPORT = {"litellm", "lxml-html-clean", "uv"}
"""One is imported by name at the first call, one by another library, one is a program."""


def imported() -> Iterator[tuple[str, Path]]:
    """Top-level names of other people's modules, with the file that imports them."""
    for file in sorted((ROOT / "planner_app").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            else:
                continue
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names and name != "planner_app":
                    yield name, file


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_every_import_is_declared() -> None:
    installed = packages_distributions()
    extras = PROJECT["optional-dependencies"]
    declared = names(PROJECT["dependencies"]) | names(extras["postgres"])
    missing = {
        f"{name} in {file.relative_to(ROOT)}"
        for name, file in imported()
        if not {canonicalize_name(found) for found in installed.get(name, [name])} & declared
    }
    assert missing == set()


def test_every_dependency_is_used() -> None:
    installed = packages_distributions()
    used = {canonicalize_name(d) for name, _ in imported() for d in installed.get(name, [name])}
    assert names(PROJECT["dependencies"]) - used - USED_WITHOUT_IMPORT == set()
