"""An installation gets exactly what was tested: everything pinned, checked by hash, bounded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "sandbox/requirements.txt")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def declared() -> list[str]:
    """Every requirement of pyproject.toml, but for the project's own extras."""
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return [r for r in [*PROJECT["dependencies"], *extras, *build] if "planner-app[" not in r]


def sandbox_wanted() -> list[str]:
    lines = (ROOT / "sandbox" / "requirements.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_pinned_with_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock)) > 10
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "no options: those name indexes"


@pytest.mark.parametrize("requirement", [*declared(), *sandbox_wanted()])
def test_every_dependency_is_bounded_above_and_below(requirement: str) -> None:
    operators = {part.operator for part in Requirement(requirement).specifier}
    assert operators == {"=="} or (operators & {">=", ">"} and operators & {"<", "<="})


def test_the_locks_fit_what_is_declared() -> None:
    for requirement in map(Requirement, declared()):
        version = pins("requirements-dev.lock")[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: run `make lock`"
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert canonicalize_name(requirement.name) in pins("requirements.lock")
    for requirement in map(Requirement, sandbox_wanted()):
        version = pins("sandbox/requirements.txt")[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: run `make lock`"


def test_tests_run_on_the_versions_that_people_get() -> None:
    people, tests = pins("requirements.lock"), pins("requirements-dev.lock")
    assert people.items() <= tests.items()


def test_the_tools_of_the_tests_are_not_installed_for_people() -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis", "hatchling"} & set(
        pins("requirements.lock")
    )
